"""Reports one looks at: values of what was asked and found become one HTML file that needs nothing else.

    model       what a report tells, as frozen values
    reading     bytes of a file, or of a request and its answer, as such values
    covering    what of the contract they show
    packing     exchanges as text, from one process to another
    events      a stream's bytes as events with times, lanes and the text they add
    timeline    a stream as a picture: SVG of a few paths, however many events there are
    exchange    one exchange: findings, picture, request and reply side by side
    coverage    what of the contract was seen
    page        the whole file: style, script, and a policy that lets nothing else run
    markup      the only place that writes tags; everything that is not markup is escaped there
    texts       what a reader can see of a text, JSON as it was written, keys masked

The report is whole without its script (`page.js`, `json_tree.js`, `inspector.js`), which adds folding, filters,
keys and the event under the pointer. What a file or an endpoint said is untrusted, and is shown as text.
"""

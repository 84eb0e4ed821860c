"""The HTML report: values of what was exchanged and found become one self-contained file.

    model             what a report shows, as frozen values; exchanges as JSON text
    report_exchanges  builds these values from a file, or from a request and its reply
    stream_events     a stream's bytes as events with times, lanes and the text they add
    timeline          a stream as SVG: a few paths, however many events there are
    exchange_view     one exchange: findings, timeline, request and reply side by side
    coverage          the parts of the contract that the exchanges cover
    rule_page         one rule of the contract, for the console
    page              the whole file: style, script, and a policy that lets nothing else run
    markup            the only module that writes tags; it escapes everything that is not markup
    formatting        texts as a reader can see them, JSON as it was written

The report is complete without its script (`page.js`, `json_tree.js`, `inspector.js`), which adds folding,
filters, keyboard shortcuts and the event under the pointer. Text from files and endpoints is untrusted and
shown as text.
"""

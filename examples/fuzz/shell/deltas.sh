#!/bin/sh
# A small client with curl and jq. Defect: it shows the deltas, whatever the status of the response.
set -eu
[ "$MOCKSERVER_STREAM" = 1 ] && stream=true || stream=false

jq -n --arg model "$MOCKSERVER_MODEL" --arg input "$MOCKSERVER_INPUT" --argjson stream "$stream" \
  '{$model, $input, $stream}' |
  curl --silent --max-time "$((MOCKSERVER_TIMEOUT / 2))" \
    --header "Authorization: Bearer $OPENAI_API_KEY" --header "Content-Type: application/json" \
    --data-binary @- "$OPENAI_BASE_URL/responses" |
  if [ "$stream" = true ]; then
    tr '\r' '\n' | sed -n 's/^data://p' | jq -j 'select(.type == "response.output_text.delta").delta'
  else
    jq -j '.output[] | select(.type == "message") | .content[].text'
  fi

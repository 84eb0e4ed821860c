#!/bin/sh
# A small client with curl and jq, without a defect.
set -eu
[ "$MOCKSERVER_STREAM" = 1 ] && stream=true || stream=false
reply=$(mktemp)
trap 'rm -f "$reply"' EXIT

jq -n --arg model "$MOCKSERVER_MODEL" --arg input "$MOCKSERVER_INPUT" --argjson stream "$stream" \
  '{$model, $input, $stream}' |
  curl --silent --show-error --fail --max-time "$((MOCKSERVER_TIMEOUT / 2))" \
    --header "Authorization: Bearer $OPENAI_API_KEY" --header "Content-Type: application/json" \
    --data-binary @- --output "$reply" "$OPENAI_BASE_URL/responses"

if [ "$stream" = true ]; then
  tr '\r' '\n' <"$reply" | sed -n 's/^data://p'
else
  cat "$reply"
fi | jq --slurp --join-output '
  map(if .type == "response.completed" then .response else . end | select(.object? == "response"))
  | map(select(.status == "completed"))
  | if length == 1 then .[0] else error("the answer is not complete") end
  | .output[] | select(.type == "message") | .content[].text'

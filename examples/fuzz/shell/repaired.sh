#!/bin/sh
# A small client with curl and jq, without a defect.
set -eu
[ "$MOCKSERVER_STREAM" = 1 ] && stream=true || stream=false
reply=$(mktemp)
response=$(mktemp)
trap 'rm -f "$reply" "$response"' EXIT

jq -n --arg model "$MOCKSERVER_MODEL" --arg input "$MOCKSERVER_INPUT" --argjson stream "$stream" \
  '{$model, $input, $stream}' |
  curl --silent --show-error --fail --max-time "$((MOCKSERVER_TIMEOUT / 2))" \
    --header "Authorization: Bearer $OPENAI_API_KEY" --header "Content-Type: application/json" \
    --data-binary @- --output "$reply" "$OPENAI_BASE_URL/responses"

if [ "$stream" = true ]; then
  tr '\r' '\n' <"$reply" | sed -n 's/^data://p'
else
  cat "$reply"
fi | jq --slurp '
  map(if .type == "response.completed" or .type == "response.incomplete" then .response else . end)
  | map(select(.object? == "response" and (.status == "completed" or .status == "incomplete")))
  | if length == 1 then .[0] else error("the reply failed") end' >"$response"

jq --join-output '.output[] | select(.type == "message") | .content[].text' "$response"
jq --exit-status '.status == "completed"' "$response" >/dev/null || echo "the reply is incomplete" >&2

-- Clients of OpenAI's API and of MCP, and many others, know one place for a secret: `authorization: Bearer …`. An API key that comes there
-- goes where the other filters look for one; the route is matched again, because calls with a key have routes of their own.

function envoy_on_request(handle)
  local headers = handle:headers()
  local sent = headers:get("authorization")
  local key = sent and sent:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(rag_%S+)$")
  if key then
    headers:replace("x-api-key", key)
    headers:remove("authorization")
    handle:clearRouteCache()
  end
end

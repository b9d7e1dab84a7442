-- Clients of OpenAI's API and of MCP, and services that send events of buckets, know one place for a secret: `authorization: Bearer …`. An API key that comes there
-- goes where the other filters and the query server look for one.

function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  local events = path:find("^/api/v1/sources/[^/]+/object%-events$")
  if path:sub(1, 4) ~= "/v1/" and not path:find("^/mcp$") and not path:find("^/mcp%?") and not events then
    return
  end
  local sent = headers:get("authorization")
  local key = sent and sent:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(rag_%S+)$")
  if key then
    headers:replace("x-api-key", key)
    headers:remove("authorization")
  end
end

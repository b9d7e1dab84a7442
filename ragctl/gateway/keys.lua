-- Counts API keys that were refused, by address, and refuses further keys of an address that sent too many.
-- LIMIT (in a minute), ENTRIES (remembered at once) and FREE (addresses that are not counted) are put before this text.

local SECONDS = 60
-- Where a query server verifies the key. A page that anybody may read says nothing about the key that came with it.
local VERIFIED = { "^/api/", "^/ragproto%.", "^/v1/", "^/mcp", "^/scim/" }
local began, entries = 0, 0
local refused, accepted = {}, {} -- by address; by key

local function remember(counts, name)
  if counts[name] == nil then
    entries = entries + 1
  end
  counts[name] = (counts[name] or 0) + 1
end

local function is_verified(path)
  for _, pattern in ipairs(VERIFIED) do
    if path:find(pattern) then
      return true
    end
  end
  return false
end

local function start_window()
  local now = os.time()
  if now - began >= SECONDS or entries >= ENTRIES then
    began, entries, refused, accepted = now, 0, {}, {}
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local key = headers:get("x-api-key")
  if key == nil or headers:get("authorization") ~= nil or not is_verified(headers:get(":path")) then
    return
  end
  local address = handle:streamInfo():downstreamRemoteAddress():gsub(":%d+$", "")
  if FREE[address] then
    return
  end
  start_window()
  local metadata = handle:streamInfo():dynamicMetadata()
  -- A key that was accepted meanwhile is somebody else behind the same address.
  if (refused[address] or 0) >= LIMIT and not accepted[key] then
    handle:respond({ [":status"] = "429", ["retry-after"] = tostring(began + SECONDS - os.time()) }, "")
    return
  end
  metadata:set("rag.keys", "address", address)
  metadata:set("rag.keys", "key", key)
end

function envoy_on_response(handle)
  local sent = handle:streamInfo():dynamicMetadata():get("rag.keys")
  if sent == nil then
    return
  end
  local headers = handle:headers()
  local http, grpc = headers:get(":status"), headers:get("grpc-status")
  if http == "401" or grpc == "16" then
    remember(refused, sent["address"])
  elseif http == "200" and (grpc == nil or grpc == "0") then
    remember(accepted, sent["key"])
  end
end

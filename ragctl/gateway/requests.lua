-- Looks at complete requests before they go to a query server.

local function refuse(handle, reason, message)
  handle:streamInfo():dynamicMetadata():set("rag.requests", "reason", reason)
  handle:respond({ [":status"] = "400" }, message)
end

-- A unary call carries exactly one message; a server would wait for the rest of a shorter one until the deadline.
local function check_grpc(handle, body)
  local total = body and body:length() or 0
  if total >= 5 then
    local _, a, b, c, d = body:getBytes(0, 5):byte(1, 5)
    if total == 5 + ((a * 256 + b) * 256 + c) * 256 + d then
      return
    end
  end
  refuse(handle, "MESSAGE_INVALID", "")
end

function envoy_on_request(handle)
  check_grpc(handle, handle:body())
end

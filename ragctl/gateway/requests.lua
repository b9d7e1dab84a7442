-- Looks at complete requests before they go to a query server. Before this text are put: MESSAGES, by message name a
-- table of its fields (the name of a message, or true for any other value), and RESERVED, a set of names.

local FILTER = "rag.requests"
local MOST_TOKENS, MOST_LEVELS, MOST_NAME = 10000, 100, 64
local QUOTE, APOSTROPHE, BACKSLASH = ('"'):byte(), ("'"):byte(), ("\\"):byte()
local OPEN, CLOSE, OPEN_LIST, CLOSE_LIST = ("{"):byte(), ("}"):byte(), ("["):byte(), ("]"):byte()
local COLON, COMMA = (":"):byte(), (","):byte()

local function refuse(handle, reason, message, field)
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(FILTER, "reason", reason)
  if field then
    metadata:set(FILTER, "field", field)
    metadata:set(FILTER, "description", message)
    message = field .. ": " .. message
  end
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

-- Where a string ends that begins at `start`: at its quote, unless an odd number of backslashes is before it.
local function string_end(text, start, quote)
  local at = start
  while true do
    at = text:find(quote, at + 1, true)
    if at == nil then
      return nil
    end
    local before = at - 1
    while text:byte(before) == BACKSLASH do
      before = before - 1
    end
    if (at - before) % 2 == 1 then
      return at
    end
  end
end

local function path_of(levels, name)
  local parts = {}
  for _, level in ipairs(levels) do
    if level.list then
      parts[#parts] = (parts[#parts] or "") .. "[" .. level.index .. "]"
    elseif level.name then
      parts[#parts + 1] = level.name
    end
  end
  parts[#parts + 1] = name
  return table.concat(parts, ".")
end

-- Enter the field `name` of the innermost object. Returns the reason, the message and the field's path that it is
-- refused with, if any.
local function enter_field(levels, name)
  local level = levels[#levels]
  level.wants_name = false
  local fields = MESSAGES[level.message]
  if fields == nil then
    return nil
  elseif name == nil then
    return "FIELD_INVALID", "names of fields must be quoted"
  end
  level.value = fields[name]
  if level.value == nil then
    local shown = path_of(levels, (name:sub(1, MOST_NAME):gsub("[^%w_.-]", "?")))
    if RESERVED[name] then
      return "RESERVED_FIELD", "only the server sets it; tenant and permissions come from the token", shown
    end
    return "FIELD_UNKNOWN", "this server's API has no such field", shown
  end
  level.name = name
end

local function open_level(levels, message, list)
  local level = levels[#levels]
  if level then
    message = level.list and level.message or level.value
  end
  levels[#levels + 1] = { list = list, message = message, index = 0, wants_name = not list }
end

local function next_value(level)
  level.index, level.wants_name = level.index + 1, not level.list
  level.name, level.value = nil, nil
end

-- The reason, message and field, if there is one, that the JSON text is refused with; nil for what fits. Broken JSON is left to the transcoder,
-- which is as lenient as this: it takes strings in apostrophes.
local function check_json(text, message)
  local levels, at, name = {}, 1, nil
  for _ = 1, MOST_TOKENS do
    local found = text:find("[\"'{}%[%]:,]", at)
    local token, level = found and text:byte(found), levels[#levels]
    at = found and found + 1
    if found == nil or (#levels == 0 and token ~= OPEN and token ~= OPEN_LIST) then
      return nil
    elseif token == QUOTE or token == APOSTROPHE then
      local last = string_end(text, found, string.char(token))
      if last == nil then
        return nil
      end
      name, at = level.wants_name and text:sub(found + 1, last - 1) or nil, last + 1
    elseif token == COLON and level.wants_name then
      local reason, refused, field = enter_field(levels, name)
      if reason then
        return reason, refused, field
      end
      name = nil
    elseif token == OPEN or token == OPEN_LIST then
      if #levels == MOST_LEVELS then
        return "FIELD_INVALID", "nested too deeply"
      end
      open_level(levels, message, token == OPEN_LIST)
    elseif token == CLOSE or token == CLOSE_LIST then
      levels[#levels] = nil
    elseif token == COMMA then
      next_value(level)
    end
  end
  return "FIELD_INVALID", "too many values"
end

-- What only gRPC gives a meaning: a server of it refuses a call whose headers do not have that form.
local function drop_grpc_headers(headers)
  local names = {}
  for name in pairs(headers) do
    if name:sub(-4) == "-bin" or name == "grpc-encoding" or name == "grpc-previous-rpc-attempts" then
      names[#names + 1] = name
    end
  end
  for _, name in ipairs(names) do
    headers:remove(name)
  end
end

function envoy_on_request(handle)
  local message = handle:filterContext():get("message")
  if message ~= "grpc" then
    drop_grpc_headers(handle:headers())
  end
  local body = handle:body()
  if message == "grpc" then
    check_grpc(handle, body)
  elseif body then
    local reason, text, field = check_json(body:getBytes(0, body:length()), message)
    if reason then
      refuse(handle, reason, text, field)
    end
  end
end

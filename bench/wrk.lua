-- Sends the requests of a plan one after the other, around and around, and tells the outcome as one line of JSON.
--
-- Arguments: the plan, a file with a line "path offset length" for each request; and the file that the offsets
-- point into.

local requests, turn = {}, 0

function init(args)
  local file = assert(io.open(args[2], "rb"))
  local bodies = file:read("*a")
  file:close()
  local path, body
  for line in io.lines(args[1]) do
    local offset, length
    path, offset, length = line:match("^(%S+) (%d+) (%d+)$")
    body = bodies:sub(offset + 1, offset + length)
    requests[#requests + 1] = wrk.format("POST", path, nil, body)
  end
  assert(#requests > 0, "the plan is empty")
  -- A function is called for each request. Where all are the same wrk can do without, and cost less.
  wrk.method, wrk.path, wrk.body = "POST", path, body
  request = #requests > 1 and next_request or nil
end

function next_request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'OUTCOME {"requests": %d, "micros": %d, "refused": %d, "broken": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end

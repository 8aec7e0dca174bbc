-- For wrk: GET random lines of the file in $URLS; at the end, one line with what came of it.
local requests = {}
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("id", threads)
end

function init()
  for path in io.lines(os.getenv("URLS")) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
  math.randomseed(id * 7919 + 17)
end

function request()
  return requests[math.random(#requests)]
end

function done(summary)
  local errors = summary.errors
  io.write(string.format("result %d %d %d %d\n", summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end

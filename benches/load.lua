-- wrk's requests: chats, each with the next of 1,000 keys. KEYS names the file of keys, CHAT the request's body.

local requests, at = {}, 0

function init()
  local path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
  for key in io.lines(os.getenv("KEYS")) do
    local headers = { ["api-key"] = key, ["Content-Type"] = "application/json", ["User-Agent"] = "bench/1" }
    requests[#requests + 1] = wrk.format("POST", path, headers, os.getenv("CHAT"))
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\nRESULT {"requests":%d,"seconds":%.3f,"errors":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end

-- Sends the requests of a file in turn, and reports what came of it on standard error. The file has each request after
-- a line with its length.
local requests, sent = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   for length in function() return file:read("*l") end do
      requests[#requests + 1] = file:read(tonumber(length))
   end
   io.stderr:write(string.format('{"loading_cpu": %f}\n', os.clock()))
end

function request()
   sent = sent + 1
   return requests[(sent - 1) % #requests + 1]
end

function done(summary)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.stderr:write(string.format('{"replies": %d, "seconds": %f, "failed": %d}\n',
      summary.requests, summary.duration / 1e6, failed))
end

"""What a batch worker does to the queue, each in one step on the server. The names of keys are arq's."""

from arq.constants import in_progress_key_prefix, job_key_prefix

__all__ = ["MOST_AT_ONCE", "PUT_BACK", "SCAN_LIMIT", "TAKE"]

MOST_AT_ONCE = 100
"""A script holds up Redis for everybody: 100 took 3 ms on a busy machine, 1,000 took 19. With more slots, ask again."""

SCAN_LIMIT = 5000
"""arq leaves running jobs in its set, at the front: more than a fleet of stock workers runs at once. It bounds how
long one look holds up Redis: 29 ms on a busy machine if all of them were locked, 19 if all bodies had vanished."""

TAKE = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wanted, taken, looked, locked, answer = tonumber(ARGV[1]), 0, 0, 0, {{-1}}
while taken < wanted and looked < {SCAN_LIMIT} do
  local page = locked == 0 and wanted - taken or {MOST_AT_ONCE}
  local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', locked, page)
  local gone = {{}}
  for i = 1, #found, 2 do
    if taken == wanted then break end
    looked = looked + 1
    if redis.call('EXISTS', '{in_progress_key_prefix}' .. found[i]) == 1 then
      locked = locked + 1
    else
      gone[#gone + 1] = found[i]
      local body = redis.call('GETDEL', '{job_key_prefix}' .. found[i])
      if body then
        taken = taken + 1
        for _, part in ipairs({{found[i], found[i + 1], body}}) do answer[#answer + 1] = part end
      end
    end
  end
  if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
  if #found == 0 then break end
end
if looked >= {SCAN_LIMIT} and locked < looked then
  answer[1] = 0
elseif taken < wanted then
  local coming = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if coming[2] then answer[1] = math.ceil(coming[2] - now) end
end
return answer
"""
"""Takes up to ARGV[1] due wake-ups off the queue, in the order of their scores, and passes over what a stock worker
has locked. Answers: milliseconds until the next look is worth while (-1: unknown), then id, score and body of each.

The clock is that of Redis: those of workers never matter."""

PUT_BACK = f"""
local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
redis.call('PSETEX', '{job_key_prefix}' .. ARGV[1], ARGV[2] + ARGV[3], ARGV[4])
redis.call('ZADD', KEYS[1], due, ARGV[1])
redis.call('PUBLISH', ARGV[5], '')
"""
"""Sends wake-up ARGV[1] again, due in ARGV[2] milliseconds, as `Queue.send` would."""

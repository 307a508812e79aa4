-- The names under which the functions are called; the library's hash is part of each, so that old and new processes
-- run together. All but those that take on new work may run when memory is short: they set it free, or
-- stop what takes it.

local function register(name, callback, flag)
  redis.register_function{function_name = name .. '_' .. HASH, callback = callback, flags = {flag}}
end

register('stage', stage)
register('accept', accept)
register('breakers', breakers, 'allow-oom')
register('advance', advance, 'allow-oom')
register('campaign_delete', campaign_delete, 'allow-oom')
register('campaign_put', campaign_put, 'allow-oom')
register('cancel', cancel, 'allow-oom')
register('claim', claim, 'allow-oom')
register('deliveries', deliveries, 'allow-oom')
register('discard', discard, 'allow-oom')
register('expire', expire, 'allow-oom')
register('gate', gate, 'allow-oom')
register('hurry', hurry, 'allow-oom')
register('pause', pause, 'allow-oom')
register('recount', recount, 'allow-oom')
register('redrive', redrive, 'allow-oom')
register('renew', renew, 'allow-oom')
register('request_seen', request_seen, 'allow-oom')
register('resume', resume, 'allow-oom')
register('snapshot', snapshot, 'allow-oom')
register('sweep', sweep, 'allow-oom')
register('trim', trim, 'allow-oom')
register('unhold_all', unhold_all, 'allow-oom')
register('unpark', unpark, 'allow-oom')
register('farewell', farewell, 'allow-oom')
register('heartbeat', heartbeat, 'allow-oom')
register('lane', lane, 'allow-oom')
register('lane_pause', lane_pause, 'allow-oom')
register('open_batches', open_batches, 'allow-oom')
register('throttle_put', throttle_put, 'allow-oom')
register('worker_drain', worker_drain, 'allow-oom')

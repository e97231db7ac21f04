-- Asks a Muster gateway about each request: `http-request lua.muster URL`, and tells the device
-- what it asked the gateway for: `http-response lua.muster_answer`. Copy to /etc/haproxy/muster.lua. A refusal goes to the device as the gateway words it; if the gateway
-- cannot be asked, nobody passes.

local ours = { "muster-did", "muster-owner", "muster-model", "muster-batch", "muster-roll-age",
               "muster-stale" }
local shown = { "content-type", "www-authenticate", "muster-reason", "muster-nonce",
                "cache-control" }
local heard = { "authorization", "muster-receipt", "muster-session", "muster-prove" }
-- Beside the service's answer, by the variable that holds it until then.
local told = { ["muster-session"] = "txn.muster_session",
               ["muster-session-seconds"] = "txn.muster_session_seconds",
               ["muster-proof"] = "txn.muster_proof" }

-- All values of a header: HAProxy counts them from 0, and one that came twice must stay twice.
local function values(headers, name)
    local list = {}
    if headers[name] then
        for place = 0, #headers[name] do
            list[#list + 1] = headers[name][place]
        end
    end
    return list
end

local function refuse(txn, status, headers, body)
    local reply = txn:reply({ status = status })
    for _, name in ipairs(shown) do
        for _, value in ipairs(values(headers, name)) do
            reply:add_header(name, value)
        end
    end
    reply:set_body(body)
    txn:done(reply)
end

core.register_action("muster", { "http-req" }, function(txn, url)
    local sent = txn.http:req_get_headers()
    local asked = {
        ["x-request-id"] = { txn.f:uuid() },
        ["x-real-ip"] = { txn.f:src() },
        ["x-original-method"] = { txn.f:method() },
        ["x-original-uri"] = { txn.f:url() },
    }
    for _, name in ipairs(heard) do
        local list = values(sent, name)
        if #list > 0 then
            asked[name] = list
        end
    end
    for name in pairs(sent) do
        -- Muster_Did is Muster-Did to a service behind CGI or WSGI.
        if name:find("^muster[^%w]") or name == "authorization" then
            txn.http:req_del_header(name)
        end
    end
    local answer = core.httpclient():get({ url = url, headers = asked, timeout = 5000 })
    if not answer or (answer.status ~= 200 and answer.status ~= 401 and answer.status ~= 403) then
        local headers = {
            ["content-type"] = { [0] = "application/problem+json" },
            ["muster-reason"] = { [0] = "no-gateway" },
            ["cache-control"] = { [0] = "no-store" },
        }
        local body = '{"type":"urn:muster:problem:no-gateway","status":503}\n'
        return refuse(txn, 503, headers, body)
    end
    if answer.status ~= 200 then
        return refuse(txn, answer.status, answer.headers, answer.body)
    end
    for _, name in ipairs(ours) do
        for _, value in ipairs(values(answer.headers, name)) do
            txn.http:req_set_header(name, value)
        end
    end
    for name, variable in pairs(told) do
        local list = values(answer.headers, name)
        if #list == 1 then
            txn:set_var(variable, list[1])
        end
    end
end, 1)

core.register_action("muster_answer", { "http-res" }, function(txn)
    for name, variable in pairs(told) do
        txn.http:res_del_header(name)
        local value = txn:get_var(variable)
        if value then
            txn.http:res_set_header(name, value)
        end
    end
end)

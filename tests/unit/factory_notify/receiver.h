// tests/unit/factory_notify/receiver.h -- a strict receiver of notifications: our own server, saying what the test tells it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "factory/http/server.h"
#include "platform/base/json.h"

namespace mill::test {

/// Keeps every call; a path without a script answers 404. A script that leaves the call unanswered parks it until the end.
class Receiver {
public:
    using Script = std::function<void(const factory::HttpCall&, const factory::Responder&)>;

    explicit Receiver(factory::HttpServerOptions options = {})
    {
        auto started = factory::start_http_server(std::move(options), [this](const factory::HttpCall& call, const factory::Responder& responder) {
            Script script;
            {
                const std::scoped_lock lock(mutex_);
                calls_.push_back(call);
                kept_.push_back(responder);
                if (const auto found = scripts_.find(call.path); found != scripts_.end()) script = found->second;
            }
            changed_.notify_all();
            if (script) script(call, responder);
            else responder.reply({.status = 404, .body = R"({"message":"no such path"})"});
        });
        if (!started) FAIL(started.error().what);
        server_ = std::move(*started);
    }
    ~Receiver() { stop(); }
    void stop()
    {
        if (server_) server_->stop();
        const std::scoped_lock lock(mutex_);
        kept_.clear();
    }
    std::uint16_t port() const { return server_->port(); }
    std::string url(std::string_view path) const { return "http://127.0.0.1:" + std::to_string(port()) + std::string(path); }
    void on(const std::string& path, Script script)
    {
        const std::scoped_lock lock(mutex_);
        scripts_[path] = std::move(script);
    }
    void answer(const std::string& path, int status, std::string body, std::vector<std::pair<std::string, std::string>> headers = {})
    {
        on(path, [=](const factory::HttpCall&, const factory::Responder& responder) { responder.reply({.status = status, .headers = headers, .body = body}); });
    }
    std::vector<factory::HttpCall> calls(std::string_view path = {})
    {
        const std::scoped_lock lock(mutex_);
        std::vector<factory::HttpCall> out;
        for (const auto& each : calls_)
            if (path.empty() || each.path == path) out.push_back(each);
        return out;
    }
    bool wait_calls(std::string_view path, std::size_t count, std::chrono::milliseconds wait = std::chrono::seconds(10))
    {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, wait, [&] {
            std::size_t found = 0;
            for (const auto& each : calls_) found += each.path == path;
            return found >= count;
        });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<factory::HttpCall> calls_;
    std::vector<factory::Responder> kept_;
    std::map<std::string, Script> scripts_;
    std::unique_ptr<factory::HttpServer> server_;
};

/// SAP Conversational AI as its published code behaves: two secrets, the recorded paths, the shape of messages.
class SapCai : public Receiver {
public:
    SapCai()
    {
        on("/oauth/token", [this](const factory::HttpCall& call, const factory::Responder& responder) {
            const std::scoped_lock lock(state_);
            ++tokens_asked;
            if (refuse_token) return responder.reply({.status = 401, .body = R"({"error":"invalid_client","error_description":"Bad credentials"})"});
            if (call.method != "POST" || call.query_value("grant_type") != "client_credentials" || call.header("authorization") != "Basic Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ=")
                return responder.reply({.status = 401, .body = R"({"error":"unauthorized"})"});
            token = "oauth-token-" + std::to_string(tokens_asked.load());
            responder.reply({.body = R"({"access_token":")" + token + R"(","token_type":"bearer","expires_in":)" + std::to_string(lifetime.load()) + "}"});
        });
        const auto guarded = [this](const char* method, auto then) {
            return [this, method, then](const factory::HttpCall& call, const factory::Responder& responder) {
                const std::scoped_lock lock(state_);
                if (call.method != method) return responder.reply({.status = 405});
                if (call.header("authorization") != "Bearer " + token || call.header("x-token") != "Token bot-token-secret")
                    return responder.reply({.status = 401, .body = R"({"results":null,"message":"Request is invalid"})"});
                const auto body = parse_json(call.body);
                if (!body || call.header("content-type") != "application/json") return responder.reply({.status = 400, .body = R"({"message":"not JSON"})"});
                then(*body, responder);
            };
        };
        on("/connect/v1/conversations/conversation-1/messages", guarded("POST", [](const Json& body, const factory::Responder& responder) {
               const Json& first = body["messages"][std::size_t(0)];
               if (body.size() != 1 || first["type"].as_string() != "text" || first["content"].as_string().empty())
                   return responder.reply({.status = 400, .body = R"({"message":"messages is missing or ill-formed"})"});
               responder.reply({.status = 201, .body = R"({"results":null,"message":"Messages successfully posted"})"});
           }));
        on("/build/v1/users/anna/bots/desk/versions/v1/builder/conversation_states/conversation-1", guarded("PUT", [](const Json& body, const factory::Responder& responder) {
               if (!body["memory"].is_object() || !body["merge_memory"].as_bool()) return responder.reply({.status = 400, .body = R"({"message":"memory is missing"})"});
               responder.reply({.body = R"({"results":{}})"});
           }));
    }
    ~SapCai() { stop(); }

    void revoke()
    {
        const std::scoped_lock lock(state_);
        token = "revoked behind their back";
    }
    std::atomic<int> tokens_asked = 0, lifetime = 43199;
    std::atomic<bool> refuse_token = false;

private:
    std::mutex state_;
    std::string token;
};

}  // namespace mill::test

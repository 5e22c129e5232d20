// tests/unit/agent/fake_factory.h -- the agent's side of a factory on a real loopback server, its answers set by the test.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "agent/identity.h"
#include "factory/http/server.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/crypto.h"
#include "platform/files.h"

namespace mill::test {

struct TemporaryFolder {
    std::string path = (std::filesystem::temp_directory_path() / ("mill-agent-" + new_uid())).string();
    TemporaryFolder() { std::filesystem::create_directories(path); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    ~TemporaryFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
};

/// Tokens and sessions work as protocol/README.md says; offers, events, leases are queues and hooks of the test.
class FakeFactory {
public:
    FakeFactory() : key_(platform::make_signing_key())
    {
        factory::HttpServerOptions options;
        options.body_limit = [](std::string_view, std::string_view) { return std::size_t{32} << 20; };
        auto server = factory::start_http_server(options, [this](factory::HttpCall call, factory::Responder answer) { serve(std::move(call), answer); });
        REQUIRE(server);
        server_ = std::move(*server);
        url_ = "http://127.0.0.1:" + std::to_string(server_->port());
    }
    ~FakeFactory() { server_->stop(); }

    const std::string& url() const { return url_; }
    const platform::SigningKey& key() const { return key_; }

    /// An identity as enrolment would have left it.
    agent::Identity enrolled(const std::string& data_folder)
    {
        const platform::SigningKey agent_key = platform::make_signing_key();
        {
            const std::scoped_lock lock(mutex_);
            agent_key_ = agent_key.public_key;
        }
        agent::Identity identity;
        identity.factory_url = url_;
        identity.factory_id = "factory-1";
        identity.factory_key = key_.public_key;
        identity.token_url = url_ + "/agent/v1/token";
        identity.agent_id = "agent-1";
        identity.name = "srv-1";
        identity.private_key = agent_key.private_key;
        REQUIRE(agent::save_identity(data_folder, identity));
        auto loaded = agent::load_identity(data_folder, "factory-1");
        REQUIRE(loaded);
        return *loaded;
    }

    /// What the next answer to `path` is, before the standard one; false lets the standard one stand.
    using Hook = std::function<bool(const factory::HttpCall&, const Json& body, factory::HttpReply& reply)>;
    void on(const std::string& path, Hook hook)
    {
        const std::scoped_lock lock(mutex_);
        hooks_[path] = std::move(hook);
    }
    void offer(Json offers)  // the whole answer of the parked poll
    {
        std::unique_lock lock(mutex_);
        polls_.push_back(std::move(offers));
        flush(lock);
    }
    /// Waits for the nth request (from 1) to a path.
    Json request(const std::string& path, std::size_t number = 1)
    {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, std::chrono::seconds(15), [&] { return seen_[path].size() >= number; }));
        return seen_[path][number - 1];
    }
    std::size_t count(const std::string& path)
    {
        const std::scoped_lock lock(mutex_);
        return seen_[path].size();
    }
    template <class Test>
    bool until(Test test)
    {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(15), [&] { return test(*this); });
    }

    // Guarded by the mutex of `until`.
    std::map<std::string, std::vector<std::uint64_t>> events;   ///< job → sequences accepted, in order
    std::vector<std::int64_t> counters;
    std::string wrong_key;                                      ///< signs proofs with this instead

private:
    static Json problem(int status, const std::string& detail)
    {
        return Json::object({{"type", "about:blank"}, {"status", status}, {"detail", detail}});
    }

    void serve(factory::HttpCall call, const factory::Responder& answer)
    {
        factory::HttpReply reply;
        Json body;
        if (auto json = parse_json(call.body)) body = *json;
        Hook hook;
        {
            const std::scoped_lock lock(mutex_);
            if (const auto found = hooks_.find(call.path); found != hooks_.end()) hook = found->second;
        }
        const bool hooked = hook && hook(call, body, reply);
        {
            std::unique_lock lock(mutex_);
            bool parked = false;
            if (!hooked) parked = !standard(call, body, reply, answer);
            seen_[call.path].push_back(body);
            changed_.notify_all();
            if (parked) return flush(lock);
        }
        answer.reply(std::move(reply));
    }

    bool standard(const factory::HttpCall& call, const Json& body, factory::HttpReply& reply, const factory::Responder& answer)
    {
        Json out = Json::object();
        if (call.path == "/agent/v1/token") {
            const std::size_t at = call.body.find("client_assertion=");
            auto jwt = percent_decode(call.body.substr(at + 17));
            auto claims = jwt ? platform::verify_jwt(agent_key_, *jwt) : Result<std::string>(fail(Errc::denied, "no assertion"));
            if (!claims) {
                reply.status = 401;
                out = problem(401, claims.error().what);
            } else {
                counters.push_back((*parse_json(*claims))["ctr"].as_integer());
                token_ = "mw_agent_" + std::to_string(counters.size());
                out = Json::object({{"access_token", token_}, {"token_type", "Bearer"}, {"expires_in", 3600}});
            }
        } else if (call.path == "/agent/v1/proof") {
            auto proof = platform::sign(wrong_key.empty() ? key_.private_key : wrong_key, "millwright-session:" + body["challenge"].as_string());
            out = Json::object({{"factoryId", "factory-1"}, {"factoryProof", to_base64(*proof)}});
        } else if (std::string(call.header("authorization")) != "Bearer " + token_) {
            reply.status = 401;
            out = problem(401, "no such token");
        } else if (call.path == "/agent/v1/session") {
            auto proof = platform::sign(wrong_key.empty() ? key_.private_key : wrong_key, "millwright-session:" + body["challenge"].as_string());
            out = Json::object({{"version", 1}, {"epoch", 1}, {"factoryId", "factory-1"}, {"factoryProof", to_base64(*proof)}, {"approved", true},
                                {"state", "active"}, {"pollMs", 2000}, {"leaseMs", 60000}, {"renewMs", 200}, {"held", Json::array()}});
        } else if (call.path == "/agent/v1/offers") {
            parked_.push_back(answer);
            return false;
        } else if (call.path == "/agent/v1/events") {
            Json::Array attempts;
            for (const Json& item : body["attempts"].as_array()) {
                auto& accepted = events[item["job"].as_string()];
                for (const Json& event : item["events"].as_array())
                    if (event["sequence"].as_integer() == static_cast<std::int64_t>(accepted.size()) + 1)
                        accepted.push_back(static_cast<std::uint64_t>(event["sequence"].as_integer()));
                Json one = Json::object({{"job", item["job"]}, {"epoch", item["epoch"]}, {"attempt", item["attempt"]}});
                one.set("acknowledged", accepted.size()).set("standing", "current").set("refused", Json::array());
                attempts.push_back(std::move(one));
            }
            out = Json::object({{"attempts", Json(std::move(attempts))}});
        } else if (call.path == "/agent/v1/leases") {
            out = Json::object({{"attempts", Json::array()}});
        } else {
            reply.status = 404;
            out = problem(404, "nothing here");
        }
        reply.body = dump_json(out);
        return true;
    }

    /// Answers the newest parked poll when there is something; an older one ends with 409.
    void flush(std::unique_lock<std::mutex>&)
    {
        while (parked_.size() > 1) {
            parked_.front().reply({409, {}, dump_json(problem(409, "a newer poll came")), "application/problem+json"});
            parked_.pop_front();
        }
        if (parked_.empty() || polls_.empty()) return;
        parked_.front().reply({200, {}, dump_json(polls_.front()), "application/json"});
        parked_.pop_front();
        polls_.pop_front();
    }

    const platform::SigningKey key_;
    std::string url_, agent_key_, token_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, Hook> hooks_;
    std::map<std::string, std::vector<Json>> seen_;
    std::deque<Json> polls_;
    std::deque<factory::Responder> parked_;
    std::unique_ptr<factory::HttpServer> server_;
};

}  // namespace mill::test

// tests/unit/factory_api/factory.h -- a whole factory without its network: core, store and API in a folder of their own.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "factory/api/api.h"
#include "platform/crypto.h"
#include "tests/unit/factory_api/in_process_checker.h"

namespace mill::test {

/// `json[0]` would be ambiguous: 0 is a null pointer, too.
inline constexpr std::size_t kFirst = 0;

struct Answer {
    int status = 0;
    std::map<std::string, std::string> headers;   ///< names as sent
    std::string type, text;
    Json json;
    std::string detail() const { return json["detail"].as_string(); }
};

/// A call on its way; the answer may come later, or never.
class Pending {
public:
    Pending();
    factory::Responder responder() const;
    bool done(std::chrono::milliseconds wait = std::chrono::milliseconds(0)) const;
    Answer answer(std::chrono::milliseconds wait = std::chrono::seconds(10)) const;   ///< fails the test when none comes
    std::optional<Answer> given(std::chrono::milliseconds wait) const;
    void hang_up() const;                                                             ///< the peer goes away
    std::string pieces() const;                                                       ///< of a stream, so far
    bool wait_pieces(std::string_view text, std::chrono::milliseconds wait = std::chrono::seconds(5)) const;

private:
    struct Link;
    std::shared_ptr<Link> link_;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

class Factory {
public:
    explicit Factory(factory::ApiOptions options = {});
    ~Factory();
    Factory(const Factory&) = delete;
    Factory& operator=(const Factory&) = delete;

    /// `target` is path?query. A body gets Content-Type application/json unless a header says otherwise.
    Pending start(std::string_view method, std::string_view target, std::string_view body = {}, Headers headers = {});
    Answer call(std::string_view method, std::string_view target, std::string_view body = {}, Headers headers = {});
    Answer as_admin(std::string_view method, std::string_view target, std::string_view body = {}, Headers headers = {});
    Answer with_token(std::string_view token, std::string_view method, std::string_view target, std::string_view body = {}, Headers headers = {});

    /// Package order-status@1.2.0, environment, deployment and trigger, all through the API.
    void deploy(const std::string& order = "{ type: string }");
    void apply();   ///< the last three of these
    std::string trigger_token();
    factory::HttpHandler handler() { return api_->handler(); }
    void restart();   ///< as after a kill: same folder
    /// Uploads `bytes` as order-status@1.2.0.
    Answer upload(const std::string& bytes);

    std::string folder, admin, remote = "127.0.0.1";
    std::unique_ptr<factory::Core> core;
    std::shared_ptr<CheckerTrick> checks = std::make_shared<CheckerTrick>();

private:
    void open();
    factory::ApiOptions options_;
    std::unique_ptr<factory::Vault> vault_;
    std::unique_ptr<factory::Api> api_;
};

/// The bytes of order-status in a version, made by the real packer; `order` is the schema of that member of its input.
const std::string& order_status(std::string_view version = "1.2.0", const std::string& order = "{ type: string }");

/// An agent that speaks /agent/v1 by hand.
struct HandAgent {
    HandAgent(Factory& factory, std::string name, std::string mode = "unattended");
    Answer enrol(std::string_view code);
    Answer ask_token(int counter, std::string_view jti, int seconds = 50);   ///< an assertion that ends then
    void join();   ///< invitation, enrolment, token, session: each must work
    Answer say(std::string_view path, std::string_view body);
    Pending poll(int want, std::string_view answers = "[]");
    /// Reports the attempt of an offer from `running` to the end.
    Answer finish(const Json& offer, std::string_view state, std::string_view output);

    Factory& factory;
    std::string name, mode, id, token, token_url;
    platform::SigningKey key;
    Json enrolled, session;
    int counter = 0;
};

}  // namespace mill::test

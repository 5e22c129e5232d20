#include "tests/unit/factory_api/factory.h"

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/files.h"
#include "workflows/package.h"

namespace mill::test {

using namespace mill::factory;

struct Pending::Link final : Responder::Link {
    mutable std::mutex mutex;
    mutable std::condition_variable changed;
    std::optional<HttpReply> given;
    std::string stream;
    bool streams = false, twice = false;
    std::function<void()> gone;

    void reply(HttpReply reply) override
    {
        const std::scoped_lock lock(mutex);
        twice = given.has_value();   // told by answer(): Catch belongs to the test's thread
        given = std::move(reply);
        changed.notify_all();
    }
    bool start_stream(HttpReply head) override
    {
        const std::scoped_lock lock(mutex);
        given = std::move(head);
        streams = true;
        changed.notify_all();
        return true;
    }
    bool send_piece(std::string piece) override
    {
        const std::scoped_lock lock(mutex);
        if (!streams) return false;
        stream += piece;
        changed.notify_all();
        return true;
    }
    void end_stream() override
    {
        const std::scoped_lock lock(mutex);
        streams = false;
        changed.notify_all();
    }
    void on_gone(std::function<void()> given_gone) override
    {
        const std::scoped_lock lock(mutex);
        gone = std::move(given_gone);
    }
};

Pending::Pending() : link_(std::make_shared<Link>()) {}
Responder Pending::responder() const { return Responder(link_); }

bool Pending::done(std::chrono::milliseconds wait) const
{
    std::unique_lock lock(link_->mutex);
    return link_->changed.wait_for(lock, wait, [&] { return link_->given.has_value(); });
}

Answer Pending::answer(std::chrono::milliseconds wait) const
{
    auto out = given(wait);
    if (!out) FAIL("no answer came");
    const std::scoped_lock lock(link_->mutex);
    REQUIRE_FALSE(link_->twice);
    return std::move(*out);
}

std::optional<Answer> Pending::given(std::chrono::milliseconds wait) const
{
    if (!done(wait)) return std::nullopt;
    const std::scoped_lock lock(link_->mutex);
    Answer out;
    out.status = link_->given->status;
    out.type = link_->given->content_type;
    out.text = link_->given->body;
    for (const auto& [name, value] : link_->given->headers) out.headers[name] = value;
    if (auto json = parse_json(out.text)) out.json = *json;
    return out;
}

void Pending::hang_up() const
{
    std::function<void()> gone;
    {
        const std::scoped_lock lock(link_->mutex);
        gone = std::move(link_->gone);
        link_->streams = false;
    }
    if (gone) gone();
}

std::string Pending::pieces() const
{
    const std::scoped_lock lock(link_->mutex);
    return link_->stream;
}

bool Pending::wait_pieces(std::string_view text, std::chrono::milliseconds wait) const
{
    std::unique_lock lock(link_->mutex);
    return link_->changed.wait_for(lock, wait, [&] { return link_->stream.find(text) != std::string::npos; });
}

Factory::Factory(ApiOptions options) : options_(std::move(options))
{
    folder = (std::filesystem::temp_directory_path() / ("mill-api-" + new_uid())).string();
    REQUIRE(platform::make_folder(folder + "/data", 0700));
    if (!options_.base_url) options_.base_url = [] { return std::string("http://127.0.0.1:8321"); };
    options_.folder = folder + "/data";
    open();
    auto token = platform::read_secret_file(options_.folder + "/admin-token");
    REQUIRE(token);
    admin = token->substr(0, token->size() - 1);
}

void Factory::open()
{
    CoreOptions core_options;
    core_options.folder = options_.folder;
    auto started = start_core(core_options, system_clock());
    if (!started) FAIL(started.error().what);
    core = std::move(*started);
    auto vault = open_vault(default_vault_key_file(options_.folder));
    if (!vault) FAIL(vault.error().what);
    vault_ = std::make_unique<Vault>(std::move(*vault));
    auto api = make_api(options_, *core, *vault_, std::make_unique<InProcessChecker>(checks));
    if (!api) FAIL(api.error().what);
    api_ = std::move(*api);
}

void Factory::restart()
{
    api_.reset();
    core.reset();
    open();
}

Factory::~Factory()
{
    core->flush();
    api_.reset();
    core.reset();
    std::filesystem::remove_all(folder);
}

Pending Factory::start(std::string_view method, std::string_view target, std::string_view body, Headers headers)
{
    HttpCall call;
    call.method = method;
    const auto question = target.find('?');
    call.path = target.substr(0, question);
    if (question != std::string_view::npos)
        for (std::string_view rest = target.substr(question + 1); !rest.empty();) {
            const auto end = rest.find('&');
            const auto pair = rest.substr(0, end);
            const auto equals = pair.find('=');
            call.query.emplace_back(pair.substr(0, equals), equals == std::string_view::npos ? "" : *percent_decode(pair.substr(equals + 1)));
            rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        }
    bool typed = body.empty();
    for (const auto& [name, value] : headers) typed = typed || name == "content-type";
    call.headers = std::move(headers);
    if (!typed) call.headers.emplace_back("content-type", "application/json");
    call.headers.emplace_back("host", "127.0.0.1:8321");
    call.body = body;
    call.remote = remote;
    Pending pending;
    api_->handle(std::move(call), pending.responder());
    return pending;
}

Answer Factory::call(std::string_view method, std::string_view target, std::string_view body, Headers headers)
{
    return start(method, target, body, std::move(headers)).answer();
}

Answer Factory::with_token(std::string_view token, std::string_view method, std::string_view target, std::string_view body, Headers headers)
{
    headers.emplace_back("authorization", "Bearer " + std::string(token));
    return call(method, target, body, std::move(headers));
}

Answer Factory::as_admin(std::string_view method, std::string_view target, std::string_view body, Headers headers)
{
    return with_token(admin, method, target, body, std::move(headers));
}

const std::string& order_status(std::string_view version, const std::string& order)
{
    static std::map<std::string, std::string> made;
    const std::string key = std::string(version) + order;
    if (const auto found = made.find(key); found != made.end()) return found->second;
    const std::string folder = (std::filesystem::temp_directory_path() / ("mill-package-" + new_uid())).string();
    REQUIRE(platform::make_folder(folder));
    REQUIRE(platform::write_file(folder + "/package.yaml", fmt::format("name: order-status\nversion: {}\nworkflow: main.yaml\n"
                                                                       "variables:\n  region: {{ type: string, default: eu }}\n", version)));
    REQUIRE(platform::write_file(folder + "/main.yaml", "document: { dsl: 1.0.3, namespace: it-services, name: order-status, version: 1.2.0 }\n"
                                                        "input: { schema: { document: { type: object, required: [ order ], properties: { order: " + order + " } } } }\n"
                                                        "do:\n  - answer:\n      set: { reply: '${ .order }' }\n"));
    auto bytes = workflows::pack(folder);
    std::filesystem::remove_all(folder);
    if (!bytes) FAIL(bytes.error().what);
    return made.emplace(key, std::move(*bytes)).first->second;
}

Answer Factory::upload(const std::string& bytes)
{
    return as_admin("PUT", "/v1/packages/order-status/1.2.0?digest=" + workflows::package_digest(bytes), bytes, {{"content-type", "application/octet-stream"}});
}

void Factory::deploy(const std::string& order)
{
    const Answer uploaded = upload(order_status("1.2.0", order));
    INFO(uploaded.text);
    REQUIRE(uploaded.status == 201);
    apply();
}

void Factory::apply()
{
    const Answer applied = as_admin("POST", "/v1/apply", R"({"documents":[
        {"kind":"Trigger","name":"order-status-api","deployment":"order-status","input":{"region":"eu"}},
        {"kind":"Deployment","name":"order-status","package":"order-status@1.2.0","environment":"it-services"},
        {"kind":"Environment","name":"it-services","agents":["srv-*"]}]})");
    INFO(applied.text);
    REQUIRE(applied.status == 200);
}

std::string Factory::trigger_token()
{
    const Answer made = as_admin("POST", "/v1/triggers/order-status-api/token");
    INFO(made.text);
    REQUIRE(made.status == 201);
    return made.json["token"].as_string();
}

HandAgent::HandAgent(Factory& the_factory, std::string the_name, std::string the_mode)
    : factory(the_factory), name(std::move(the_name)), mode(std::move(the_mode)), key(platform::make_signing_key())
{
}

Answer HandAgent::enrol(std::string_view code)
{
    Json body = Json::object({{"version", 1}, {"must", Json::array()}, {"code", Json(code)}, {"name", Json(name)}, {"publicKey", Json(to_base64(key.public_key))},
                              {"facts", Json::object({{"os", "linux"}})}, {"future", "ignored"}});
    if (!mode.empty()) body.set("mode", mode);
    return factory.call("POST", "/agent/v1/enrol", dump_json(body));
}

Answer HandAgent::ask_token(int the_counter, std::string_view jti, int seconds)
{
    const auto now = system_clock().now().microseconds / 1'000'000;
    const auto jwt = platform::make_jwt(key.private_key, id, fmt::format(R"({{"iss":"{}","sub":"{}","aud":"{}","iat":{},"exp":{},"jti":"{}","ctr":{}}})", id, id, token_url, now,
                                                                         now + seconds, jti, the_counter));
    REQUIRE(jwt);
    return factory.call("POST", "/agent/v1/token",
                        fmt::format("grant_type=client_credentials&client_assertion_type={}&client_assertion={}",
                                    percent_encode("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), percent_encode(*jwt)),
                        {{"content-type", "application/x-www-form-urlencoded"}});
}

void HandAgent::join()
{
    const Answer invited = factory.as_admin("POST", "/v1/agents/invitations", R"({"environment":"it-services","name":"srv-*","approve":true})");
    REQUIRE(invited.status == 201);
    const Answer answer = enrol(invited.json["code"].as_string());
    INFO(answer.text);
    REQUIRE(answer.status == 201);
    enrolled = answer.json;
    id = enrolled["agentId"].as_string();
    token_url = enrolled["tokenUrl"].as_string();
    const Answer granted = ask_token(++counter, new_uid());
    INFO(granted.text);
    REQUIRE(granted.status == 200);
    token = granted.json["access_token"].as_string();
    const Answer opened = say("session", R"({"version":1,"must":[],"challenge":"Y2hhbGxlbmdl","slots":2,"facts":{"os":"linux"},"held":[]})");
    INFO(opened.text);
    REQUIRE(opened.status == 200);
    session = opened.json;
}

Answer HandAgent::say(std::string_view path, std::string_view body)
{
    return factory.with_token(token, "POST", fmt::format("/agent/v1/{}", path), body);
}

Pending HandAgent::poll(int want, std::string_view answers)
{
    return factory.start("POST", "/agent/v1/offers", fmt::format(R"({{"want":{},"answers":{}}})", want, answers), {{"authorization", "Bearer " + token}});
}

Answer HandAgent::finish(const Json& offer, std::string_view state, std::string_view output)
{
    const std::string now = format_time(system_clock().now());
    return say("events", fmt::format(R"({{"attempts":[{{"job":"{}","epoch":{},"attempt":{},"events":[
        {{"sequence":1,"time":"{}","kind":"state","body":{{"state":"running"}}}},
        {{"sequence":2,"time":"{}","kind":"step","body":{{"task":"/do/0/answer","name":"answer","type":"set","state":"completed"}}}},
        {{"sequence":3,"time":"{}","kind":"log","body":{{"level":"info","text":"hello from the job"}}}},
        {{"sequence":4,"time":"{}","kind":"state","body":{{"state":"{}","reason":"{}","output":{}}}}}]}}]}})",
                                     offer["job"].as_string(), offer["epoch"].as_integer(), offer["attempt"].as_integer(), now, now, now, now, state,
                                     state == "successful" ? "completed" : "error", output));
}

}  // namespace mill::test

#include "factory/app.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "factory/api/api.h"
#include "factory/api/run_call.h"
#include "factory/check/sandbox_checker.h"
#include "factory/check/sandbox_evaluator.h"
#include "factory/core.h"
#include "factory/http/server.h"
#include "factory/notify/otlp.h"
#include "factory/notify/render.h"
#include "factory/notify/template.h"
#include "factory/notify/worker.h"
#include "factory/resources/vault.h"
#include "platform/files.h"
#include "platform/http_client.h"

namespace mill::factory {
namespace {

std::string vault_key_file(const Config& config)
{
    if (!config.vault_key_file.empty()) return config.vault_key_file;
    // Under systemd: LoadCredential=vault-key:/etc/millwright/vault.key
    if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY"))
        if (std::string file = std::string(folder) + "/vault-key"; platform::exists(file)) return file;
    return default_vault_key_file(config.data);
}

std::string url_of(const Config& config, std::uint16_t port)
{
    const bool v6 = config.address.find(':') != std::string::npos;
    return fmt::format("{}://{}:{}", config.tls() ? "https" : "http", v6 ? "[" + config.address + "]" : config.address, port);
}

HttpServerOptions server_options(const Config& config)
{
    HttpServerOptions options;
    options.address = config.address;
    options.port = config.port;
    options.header_limit = config.header_limit.bytes;
    options.connections_per_address = config.connections_per_address;
    options.certificate_file = config.certificate_file;
    options.key_file = config.key_file;
    options.body_limit = api_body_limit;
    return options;
}

}  // namespace

Status run_factory(const Config& config, platform::ServiceHost& host)
{
    auto egress_rules = EgressRules::parse(config.egress);
    if (!egress_rules) return fail("egress", egress_rules.error());
    if (auto made = platform::make_folder(config.data, 0700); !made) return fail("--data", made.error());
    Clock& clock = system_clock();

    // What only those know who start later: the core its id, the server its port. The renderer, which runs within the core, asks.
    std::atomic<Core*> running = nullptr;
    std::string base_url = config.public_url;   // written once, before `listening`
    std::atomic<bool> listening = !base_url.empty();
    const auto render_options = [&] {
        const Core* known = running;
        return RenderOptions{"urn:millwright:factory:" + (known ? known->factory_id() : std::string("starting")), listening ? base_url : std::string()};
    };
    const Renderer renderer = [&](const Notification& notification) { return render_notification(notification, render_options()); };
    CoreOptions core_options;
    core_options.folder = config.data;
    core_options.offline_limit = config.offline_limit;
    core_options.ageing = config.ageing.value_or(Milliseconds(0));
    core_options.delivery_life = config.delivery_life;
    core_options.hold_after = config.hold_after;
    core_options.first_probe = config.first_probe;
    core_options.last_probe = std::max(config.first_probe, core_options.last_probe);
    core_options.record_quota = config.record_quota.bytes;
    const Config::Retention& kept = config.retention;
    core_options.retention = {.jobs = kept.jobs, .logs = kept.logs, .deliveries = kept.deliveries, .audit = kept.audit, .events = kept.events, .metrics = kept.metrics,
                              .jobs_most = kept.jobs_most, .every = kept.every};
    core_options.renderer = renderer;
    core_options.input_maker = [](const Json& trigger, const Json& document) -> Result<Json> {
        const auto made = render_json(trigger["event"]["input"], document, {notification_language().members, false});
        if (!made) return fail(made.error());
        return protocol::merge_input(trigger["input"], *made);
    };
    auto core = start_core(core_options, clock);   // locks the folder
    if (!core) return fail(core.error());
    running = core->get();

    const auto vault = open_vault(vault_key_file(config));
    if (!vault) return fail("vaultKey", vault.error());
    if (auto moved = move_stored_secrets(**core, [&](const std::string& name, const Json& values) { return vault->seal(name, values); }); !moved)
        return fail("signing secrets of notifiers", moved.error());
    Egress egress(std::move(*egress_rules), config.authority_file);
    Deliverer deliverer(egress, stored_credentials(**core, [&](const CredentialRecord& record) { return vault->open(record); }, clock), clock, {.timeout = config.delivery_timeout});

    deliverer.on_use([&known = **core](const std::string& credential, const std::string& delivery) {
        known.note("use", "Credential", credential, Json::object({{"delivery", Json(delivery)}}), Who{"factory", ""}, {});
    });
    const auto evaluator = make_sandbox_evaluator();
    const LateRenderer late = make_late_renderer(render_options, *evaluator);

    ApiOptions api_options;
    api_options.folder = config.data;
    api_options.rates = config.rates;
    api_options.base_url = [&] { return listening ? base_url : std::string(); };
    api_options.check_notifier = check_notifier;
    api_options.compile_notifier = [&](const Json& notifier, std::function<void(Status)> done) { return compile_notifier(*evaluator, notifier, std::move(done)); };
    api_options.test_notifier = [&](const Document& notifier, const Json& sample) { return try_notifier(notifier, sample, renderer, deliverer, late); };
    auto checker = make_sandbox_checker({.staging = config.data + "/staging", .runner = {}, .time = config.check_time, .memory = config.check_memory});
    if (!checker) return fail(checker.error());
    auto api = make_api(api_options, **core, *vault, std::move(*checker));
    if (!api) return fail(api.error());
    auto server = start_http_server(server_options(config), (*api)->handler());
    if (!server) return fail(server.error());
    const std::string url = url_of(config, (*server)->port());
    // Listening everywhere says nothing about the name others use: then links follow each call's Host header.
    const bool everywhere = config.address == "0.0.0.0" || config.address == "::";
    if (config.public_url.empty() && !everywhere) base_url = url;
    listening = true;
    auto worker = start_delivery_worker({}, **core, deliverer, late);
    std::unique_ptr<OtlpPush> otlp;
    if (!config.otlp_url.empty())
        otlp = start_otlp_push({.url = config.otlp_url, .credential = config.otlp_credential, .every = config.otlp_every, .instance = (*core)->factory_id()}, **core, egress,
                               stored_credentials(**core, [&](const CredentialRecord& record) { return vault->open(record); }, clock), clock);

    fmt::print("listening on {}\n", url);
    std::fflush(stdout);
    host.ready("listening on " + url);
    log::info("factory", "listening on {}, data in {}", url, config.data);
    host.wait();
    host.stopping();
    log::info("factory", "stopping");
    (*server)->stop();   // no new calls; parked polls get 503
    otlp.reset();
    worker->stop();      // what is under way stays due
    (*core)->flush();    // answers to calls that are gone by now, before the part that gave them goes
    evaluator->stop();   // answers what waits for it, while those who wait are there
    (*api).reset();
    worker.reset();
    server->reset();
    core->reset();       // what was queued is committed
    return {};
}

}  // namespace mill::factory

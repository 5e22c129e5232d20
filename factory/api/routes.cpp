#include "factory/api/routes.h"

#include <array>

#include "factory/api/api.h"
#include "factory/api/handlers.h"
#include "platform/base/encode.h"

namespace mill::factory {
namespace {

constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB;
using A = Access;
namespace h = handler;

constexpr std::array kRoutes = std::to_array<Route>({
    {"GET", "/", A::open, h::console_page, "The console: a page to look at all of this"},
    {"GET", "/console/{file}", A::open, h::console_file, "Its script, style and icon"},
    {"GET", "/healthz", A::open, h::healthz, "The process lives"},
    {"GET", "/readyz", A::open, h::readyz, "The store answers"},
    {"GET", "/metrics", A::open, h::metrics, "Prometheus text; off loopback with a token"},
    {"GET", "/v1/openapi.json", A::open, h::openapi, "This description"},
    {"GET", "/v1/session", A::any_token, h::session, "Who the token is"},

    {"POST", "/v1/apply", A::developer, h::apply, "Writes several documents, all or none", {}, 8 * kMiB},
    {"GET", "/v1/calendars", A::viewer, h::list_resources, "Lists calendars"},
    {"GET", "/v1/calendars/{name}", A::viewer, h::get_resource, "One calendar"},
    {"PUT", "/v1/calendars/{name}", A::developer, h::put_resource, "Makes or changes a calendar", "dryRun,accept", kMiB},
    {"DELETE", "/v1/calendars/{name}", A::developer, h::delete_resource, "Removes a calendar"},
    {"GET", "/v1/publishers", A::viewer, h::list_resources, "Lists publishers of packages, with their keys"},
    {"GET", "/v1/publishers/{name}", A::viewer, h::get_resource, "One publisher"},
    {"PUT", "/v1/publishers/{name}", A::admin, h::put_resource, "Makes or changes a publisher", "dryRun,accept", kMiB},
    {"DELETE", "/v1/publishers/{name}", A::admin, h::delete_resource, "Removes a publisher"},
    {"GET", "/v1/environments", A::viewer, h::list_resources, "Lists environments"},
    {"GET", "/v1/environments/{name}", A::viewer, h::get_resource, "One environment"},
    {"PUT", "/v1/environments/{name}", A::developer, h::put_resource, "Makes or changes an environment", "dryRun,accept", kMiB},
    {"DELETE", "/v1/environments/{name}", A::developer, h::delete_resource, "Removes an environment"},
    {"GET", "/v1/environments/{name}/why", A::viewer, h::why_environment, "Whether a job could run there now, and what each agent lacks"},
    {"GET", "/v1/holds", A::viewer, h::list_holds, "Environments of a restored factory in which nothing starts yet, why, and until when"},
    {"POST", "/v1/environments/{name}/release", A::operate, h::release_environment, "Stops waiting for what agents of a restored factory have not said again: it may run twice", {}, 64 * kKiB},
    {"POST", "/v1/environments/{name}/key", A::admin, h::make_environment_key, "A new value for irpa-api-key", "rotate"},
    {"GET", "/v1/deployments", A::viewer, h::list_resources, "Lists deployments"},
    {"GET", "/v1/deployments/{name}", A::viewer, h::get_resource, "One deployment"},
    {"PUT", "/v1/deployments/{name}", A::developer, h::put_resource, "Makes or changes a deployment", "dryRun,accept,force", kMiB},
    {"GET", "/v1/deployments/{name}/preflight", A::viewer, h::preflight, "Which agents could run it now, and why the others could not", "limit"},
    {"GET", "/v1/deployments/{name}/why", A::viewer, h::why_deployment, "The same as reasons"},
    {"GET", "/v1/deployments/{name}/history", A::viewer, h::deployment_history, "The versions that it had, newest first", "limit"},
    {"POST", "/v1/deployments/{name}/promote", A::developer, h::promote_deployment, "Gives a version that a group tries (canary) to all agents now", {}, 64 * kKiB},
    {"POST", "/v1/deployments/{name}/rollback", A::developer, h::rollback_deployment, "Goes to a version that it had before", {}, 64 * kKiB},
    {"DELETE", "/v1/deployments/{name}", A::developer, h::delete_resource, "Removes a deployment"},
    {"GET", "/v1/triggers", A::viewer, h::list_resources, "Lists triggers; for: those that this user may start himself", "type,for"},
    {"GET", "/v1/triggers/{name}", A::viewer, h::get_resource, "One trigger"},
    {"PUT", "/v1/triggers/{name}", A::developer, h::put_resource, "Makes or changes a trigger", "dryRun,accept", kMiB},
    {"DELETE", "/v1/triggers/{name}", A::developer, h::delete_resource, "Removes a trigger"},
    {"GET", "/v1/triggers/{name}/calls", A::viewer, h::trigger_calls, "How to call it, and whether a job could run now"},
    {"GET", "/v1/triggers/{name}/why", A::viewer, h::why_trigger, "Whether a job could run now and where, and when it fires next"},
    {"GET", "/v1/triggers/{name}/schedule", A::viewer, h::trigger_schedule, "When it fires next", "count"},
    {"GET", "/v1/triggers/{name}/firings", A::viewer, h::trigger_firings, "What came of each time at which it was to fire, newest first", "limit,cursor"},
    {"POST", "/v1/triggers/{name}/pause", A::operate, h::pause_trigger, "No new jobs", {}, 64 * kKiB},
    {"POST", "/v1/triggers/{name}/resume", A::operate, h::resume_trigger, "New jobs again", {}, 64 * kKiB},
    {"GET", "/v1/triggers/{name}/tokens", A::admin, h::trigger_tokens, "Tokens of the trigger, without the secrets"},
    {"POST", "/v1/triggers/{name}/token", A::admin, h::make_trigger_token, "A new token of the trigger", "rotate"},
    {"POST", "/v1/triggers/{name}/runs", A::any_token, h::run_trigger, "Starts a job", {}, kMiB},
    {"POST", "/apitrigger/v1/triggers/{id}/run", A::sap, h::run_sap_trigger, "Starts a job, SAP's first form", "*", kMiB},
    {"POST", "/runtime/v1/apiTriggers/{id}/runs", A::sap, h::run_sap_runtime, "Starts a job, SAP's second form", "*", kMiB},
    {"POST", "/public/irpa/runtime/v1/apiTriggers/{id}/runs", A::sap, h::run_sap_runtime, "The same under its later prefix", "*", kMiB},
    {"POST", "/v1/chat/{trigger}", A::chat, h::chat_call, "Starts a job of what was said in a chat; the body is the platform's own", {}, kMiB},
    {"POST", "/v1/chat/{trigger}/{secret}", A::chat, h::chat_call, "The same for platforms that can send no header: the secret is a token of the trigger", {}, kMiB},
    {"POST", "/v1/hooks/{trigger}", A::hook, h::hook, "Starts a job of an event trigger; the body is signed", {}, kMiB},
    {"GET", "/v1/notifiers", A::viewer, h::list_resources, "Lists notifiers"},
    {"GET", "/v1/notifiers/{name}", A::viewer, h::get_resource, "One notifier"},
    {"PUT", "/v1/notifiers/{name}", A::developer, h::put_resource, "Makes or changes a notifier", "dryRun,accept", kMiB},
    {"DELETE", "/v1/notifiers/{name}", A::developer, h::delete_resource, "Removes a notifier"},
    {"GET", "/v1/notifiers/{name}/why", A::viewer, h::why_notifier, "Whether its deliveries arrive, and why not"},
    {"POST", "/v1/notifiers/{name}/resume", A::operate, h::resume_notifier, "Sends the deliveries of a held one now", {}, kMiB},
    {"POST", "/v1/notifiers/{name}/test", A::operate, h::test_notifier, "Sends for real and shows the remote's answer", {}, kMiB},

    {"PUT", "/v1/packages/{name}/{version}", A::developer, h::put_package, "Uploads a version; it never changes afterwards", "digest,draft", 256 * kMiB},
    {"PUT", "/v1/packages/{name}/{version}/state", A::developer, h::set_package_state, "Releases, deprecates or decommissions a version", {}, 64 * kKiB},
    {"POST", "/v1/packages/{name}/{version}/signatures", A::developer, h::sign_package, "Adds publishers' signatures to a version", {}, 64 * kKiB},
    {"GET", "/v1/packages", A::viewer, h::list_packages, "Lists packages"},
    {"GET", "/v1/packages/{name}", A::viewer, h::list_versions, "Versions of a package"},
    {"GET", "/v1/packages/{name}/{version}", A::viewer, h::get_package, "One version"},
    {"GET", "/v1/packages/{name}/{version}/archive", A::viewer, h::get_archive, "Its bytes"},
    {"PUT", "/v1/credentials/{name}", A::admin, h::put_credential, "Stores a credential; its value is never shown again"},
    {"GET", "/v1/credentials", A::viewer, h::list_credentials, "Lists credentials without values"},
    {"GET", "/v1/credentials/{name}", A::viewer, h::get_credential, "One credential without its value"},
    {"DELETE", "/v1/credentials/{name}", A::admin, h::delete_credential, "Removes a credential"},
    {"POST", "/v1/tokens", A::admin, h::make_token, "Makes a token; it is shown once"},
    {"GET", "/v1/tokens", A::admin, h::list_tokens, "Lists tokens without secrets", "kind"},
    {"DELETE", "/v1/tokens/{id}", A::admin, h::delete_token, "Ends a token"},
    {"POST", "/v1/tokens/{id}/rotate", A::admin, h::rotate_token, "Another token with the same rights; the old one ends after a while", {}, kKiB},
    {"GET", "/v1/can", A::admin, h::can, "Whether a token, by id or name, could make a call", "who,method,path"},
    {"POST", "/oauth/token", A::open, h::oauth_token, "OAuth 2 client credentials for callers that fetch a bearer first", "*"},

    {"GET", "/v1/jobs", A::viewer, h::list_jobs, "Lists jobs, newest first", "state,trigger,environment,deployment,agent,since,limit,cursor"},
    {"GET", "/v1/jobs/{uid}", A::any_token, h::get_job, "One job"},
    {"GET", "/v1/jobs/{uid}/timeline", A::viewer, h::timeline, "A time for each state"},
    {"GET", "/v1/jobs/{uid}/why", A::viewer, h::why, "What it waits for, or why it ended"},
    {"GET", "/v1/jobs/{uid}/log", A::viewer, h::job_log, "Its log; wait holds for more", "after,wait,limit"},
    {"GET", "/v1/jobs/{uid}/steps", A::viewer, h::job_steps, "Its steps", "after,limit"},
    {"GET", "/v1/jobs/{uid}/deliveries", A::viewer, h::job_deliveries, "Its notifications"},
    {"POST", "/v1/jobs/{uid}/deliveries/resend", A::operate, h::resend_job, "Sends those again that did not arrive"},
    {"POST", "/v1/jobs/{uid}/cancel", A::operate, h::cancel, "Asks it to end"},
    {"POST", "/v1/jobs/{uid}/retry", A::operate, h::retry, "A new job with the same input"},
    {"GET", "/v1/locks", A::viewer, h::list_locks, "Locks of environments: who holds them, and who waits"},
    {"GET", "/v1/why", A::viewer, h::why_all, "What all waiting jobs wait for"},
    {"GET", "/v1/metrics", A::viewer, h::list_metrics, "Figures of the factory, and those that others published"},
    {"POST", "/v1/metrics", A::operate, h::publish_metrics, "Publishes values, all or none", {}, kMiB},
    {"GET", "/v1/metrics/{name}", A::viewer, h::get_metric, "The series of one, by time", "since,until,step,aggregation,by"},
    {"GET", "/v1/retention", A::viewer, h::retention, "How long what is over is kept, what goes now, and what went"},
    {"GET", "/v1/questions", A::viewer, h::list_questions, "Lists questions to people, newest first", "state,job,limit,cursor"},
    {"GET", "/v1/questions/{id}", A::viewer, h::get_question, "One question"},
    {"POST", "/v1/questions/{id}/answer", A::viewer, h::answer_question, "Answers it; the question says who may", {}, 256 * kKiB},
    {"GET", "/v1/deliveries", A::viewer, h::list_deliveries, "Lists notifications", "job,state,notifier,event,since,until,limit,cursor"},
    {"POST", "/v1/deliveries/resend", A::operate, h::resend_matching, "Sends all again that a filter finds", {}, kMiB},
    {"GET", "/v1/deliveries/{id}", A::viewer, h::get_delivery, "One notification with every attempt"},
    {"POST", "/v1/deliveries/{id}/resend", A::operate, h::resend, "Sends it again"},

    {"GET", "/v1/agents", A::viewer, h::list_agents, "Lists agents"},
    {"POST", "/v1/agents/invitations", A::admin, h::invite, "Makes an enrolment code"},
    {"GET", "/v1/agents/invitations", A::admin, h::list_invitations, "Codes that still hold"},
    {"GET", "/v1/agents/requests", A::admin, h::list_admissions, "Machines that ask to be admitted"},
    {"POST", "/v1/agents/requests/{code}/admit", A::admin, h::admit, "Admits one of them as an agent"},
    {"POST", "/v1/agents/requests/{code}/refuse", A::admin, h::refuse_admission, "Refuses one; it is told why"},
    {"GET", "/v1/agents/{name}", A::viewer, h::get_agent, "One agent"},
    {"GET", "/v1/agents/{name}/log", A::viewer, h::get_agent_log, "Its own log: the newest lines, or those behind a sequence", "after,limit"},
    {"POST", "/v1/agents/{name}/doctor", A::operate, h::ask_doctor, "Has the agent examine itself; the report comes later", {}, kKiB},
    {"GET", "/v1/agents/{name}/doctor", A::viewer, h::get_doctor, "Its last report, and how a new one stands"},
    {"POST", "/v1/agents/{name}/canary", A::operate, h::run_canary, "A job of the built-in package for this agent alone", {}, kKiB},
    {"PATCH", "/v1/agents/{name}", A::operate, h::patch_agent, "Mode, pause, labels; approval needs admin"},
    {"DELETE", "/v1/agents/{name}", A::admin, h::delete_agent, "Removes an agent"},
    {"GET", "/v1/events", A::viewer, h::events, "Changes as server-sent events", "job,subject,after"},
    {"GET", "/v1/audit", A::admin, h::audit, "Who changed what and used which credential, newest first", "who,action,kind,subject,since,until,limit,cursor"},
    {"GET", "/v1/audit/verify", A::admin, h::verify_audit, "Whether the audit log is as it was written: its chain of hashes, and that `head` is in it", "head"},

    {"POST", "/agent/v1/enrol", A::open, h::enrol, "Swaps a code for an identity", {}, 256 * kKiB},
    {"POST", "/agent/v1/admission", A::open, h::ask_admission, "Asks an administrator to admit this machine", {}, 64 * kKiB},
    {"POST", "/agent/v1/admission/poll", A::open, h::poll_admission, "How that stands; admitted, it is the identity", {}, 4 * kKiB},
    {"POST", "/agent/v1/proof", A::open, h::agent_proof, "The factory shows that it holds its key", {}, kKiB},
    {"POST", "/agent/v1/token", A::open, h::agent_token, "OAuth 2 client credentials with a signed JWT (RFC 7523)"},
    {"POST", "/agent/v1/key", A::agent, h::agent_key, "Another key for the agent, proved by the old and the new one", {}, 4 * kKiB},
    {"POST", "/agent/v1/session", A::agent, h::agent_session, "Begins a session", {}, kMiB},
    {"POST", "/agent/v1/offers", A::agent, h::offers, "The parked poll", {}, kMiB},
    {"POST", "/agent/v1/events", A::agent, h::agent_events, "Reports of attempts", {}, 20 * kMiB},
    {"POST", "/agent/v1/leases", A::agent, h::leases, "Renews what is held", {}, kMiB},
    {"POST", "/agent/v1/log", A::agent, h::agent_log, "Lines of the agent's own log", {}, kMiB},
    {"POST", "/agent/v1/ask", A::agent, h::agent_ask, "What a job asks a person, until the factory has it", {}, 256 * kKiB},
    {"POST", "/agent/v1/doctor", A::agent, h::agent_doctor, "What the agent found when it examined itself", {}, 256 * kKiB},
    {"POST", "/agent/v1/person", A::agent, h::agent_person, "What the agent's user may start, is asked, and ran", {}, 4 * kKiB},
    {"POST", "/agent/v1/person/launch", A::agent, h::agent_launch, "The agent's user starts a trigger there", {}, kMiB},
    {"POST", "/agent/v1/person/answer", A::agent, h::agent_answer, "The agent's user answers a question", {}, kMiB},
    {"POST", "/agent/v1/person/cancel", A::agent, h::agent_cancel, "The agent's user cancels a job of theirs", {}, 4 * kKiB},
    {"POST", "/agent/v1/files", A::agent, h::agent_file, "A file that appeared, which starts a job", {}, 64 * kKiB},
    {"POST", "/agent/v1/watches", A::agent, h::agent_watches, "How the agent's watches for files stand", {}, 256 * kKiB},
    {"POST", "/agent/v1/sessions", A::agent, h::agent_join, "Vouches for a person of the machine, whose own agent joins", {}, 256 * kKiB},
    {"POST", "/agent/v1/goodbye", A::agent, h::goodbye, "The agent stops, and says why"},
    {"GET", "/agent/v1/packages/{digest}", A::attempt, h::agent_package, "The package of an attempt"},
    {"POST", "/agent/v1/metrics/read", A::attempt, h::agent_read_metric, "A metric that a workflow reads, of its environment"},
    {"POST", "/agent/v1/credentials", A::attempt, h::agent_credentials, "In plain, as agents of earlier versions ask: always 426"},
    {"POST", "/agent/v1/credentials/sealed", A::attempt, h::agent_sealed_credentials, "The credentials of an attempt, sealed to its broker's key"},
});

bool is_parameter(std::string_view segment) { return segment.size() > 2 && segment.front() == '{'; }

std::string_view next_segment(std::string_view& rest)
{
    if (!rest.empty() && rest.front() == '/') rest.remove_prefix(1);
    const auto slash = rest.find('/');
    const auto segment = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
    return segment;
}

/// How many literal segments agree; nothing when the pattern does not fit.
std::optional<int> fits(std::string_view pattern, std::string_view path)
{
    int literal = 0;
    while (!pattern.empty() && !path.empty()) {
        const auto wanted = next_segment(pattern), found = next_segment(path);
        if (is_parameter(wanted)) {
            if (found.empty()) return std::nullopt;
        } else if (wanted == found) {
            ++literal;
        } else {
            return std::nullopt;
        }
    }
    if (!pattern.empty() || !path.empty()) return std::nullopt;
    return literal;
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

Result<Match> match_route(std::string_view method, std::string_view path)
{
    Match out;
    int best = -1;
    std::string_view pattern;
    for (const Route& route : kRoutes) {
        const auto literal = fits(route.pattern, path);
        if (!literal || *literal < best) continue;
        if (*literal > best) {   // "/v1/agents/invitations" before "/v1/agents/{name}"
            best = *literal;
            out.route = nullptr;
            out.allowed.clear();
        }
        out.allowed.push_back(route.method);
        pattern = route.pattern;
        if (route.method == method) out.route = &route;
    }
    std::string_view rest = path;
    while (!pattern.empty()) {
        const auto wanted = next_segment(pattern), found = next_segment(rest);
        if (!is_parameter(wanted)) continue;
        auto value = percent_decode(found);
        if (!value || value->size() > 1000 || value->find('\0') != std::string::npos) return fail(Errc::invalid, "the path is not properly percent-encoded");
        out.path.emplace(wanted.substr(1, wanted.size() - 2), std::move(*value));
    }
    return out;
}

std::size_t api_body_limit(std::string_view method, std::string_view path)
{
    const auto match = match_route(method, path);
    return match && match->route != nullptr ? match->route->body : 64 * kKiB;
}

}  // namespace mill::factory

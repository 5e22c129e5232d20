#include "agent/runner/commands.h"

#include <csignal>
#include <utility>

#include <fmt/core.h>

#include "agent/runner/reporter.h"

namespace mill::runner {
namespace {

constexpr std::size_t kMostAtOnce = 16, kMostStopped = 32;

platform::ProcessSpec spec_of(const CommandPlan& plan, const CommandRequest& request, const std::string& workspace, const std::map<std::string, std::string>& environment)
{
    platform::ProcessSpec spec;
    spec.program = plan.program;
    spec.arguments = plan.arguments;
    spec.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", workspace}, {"LANG", "C.UTF-8"}, {"TMPDIR", "/tmp"}};
    spec.environment.insert(environment.begin(), environment.end());
    for (const auto& [name, value] : request.environment) spec.environment[name] = value;
    spec.folder = workspace;
    spec.grace = kCommandGrace;
    spec.apart = true;  // or it could stop us, and nobody would hear a cancel
    return spec;
}

std::string first_line(std::string_view text)
{
    const std::string_view line = text.substr(0, text.find('\n'));
    return shortened(line, 500);
}

}  // namespace

workflows::Fault fault(std::string_view type, int status, std::string title, std::string detail)
{
    workflows::Fault out;
    out.type = fmt::format("https://serverlessworkflow.io/spec/1.0.0/errors/{}", type);
    out.status = status;
    out.title = std::move(title);
    out.detail = std::move(detail);
    return out;
}

Outcome<Json> command_result(const Result<platform::Captured>& ran, const CommandRequest& request, std::size_t max_output)
{
    const auto bad = [](std::string_view type, int status, std::string title, std::string detail) {
        return tl::unexpected(fault(type, status, std::move(title), std::move(detail)));
    };
    if (!ran) return bad(ran.error().code == Errc::denied ? "authorization" : "runtime", ran.error().code == Errc::denied ? 403 : 500,
                         "Command not started", ran.error().what);
    const platform::Ending& end = ran->ending;
    if (end.timed_out) return bad("timeout", 408, "Command stopped", "the command did not end in time and was stopped");
    const std::string& returns = request.returns;
    const bool text_wanted = returns == "stdout" || returns == "stderr" || returns == "all";
    if (ran->dropped > 0 && text_wanted)
        return bad("runtime", 413, "Command said too much",
                   fmt::format("the command wrote {} bytes more than the limit of {}", ran->dropped, max_output));
    const std::int64_t code = end.signal != 0 ? 128 + end.signal : end.exit_code;
    if (returns == "code") return Json(code);
    if (returns == "all") return Json::object({{"code", code}, {"stdout", ran->out}, {"stderr", ran->err}});
    if (code != 0) {
        const std::string how = end.signal != 0 ? fmt::format("ended by signal {}", end.signal) : fmt::format("ended with status {}", end.exit_code);
        const std::string said = first_line(ran->err.empty() ? ran->out : ran->err);
        return bad("runtime", 500, "Command failed", said.empty() ? fmt::format("the command {}", how) : fmt::format("the command {}: {}", how, said));
    }
    if (returns == "none") return Json();
    return Json(returns == "stderr" ? ran->err : ran->out);
}

std::map<std::string, std::string> bridge_environment()
{
    std::map<std::string, std::string> out;
    for (const char* name : {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}) out[name] = fmt::format("http://127.0.0.1:{}", kBridgePort);
    for (const char* name : {"no_proxy", "NO_PROXY"}) out[name] = "";  // granted loopback servers are outside, too
    return out;
}

Commands::Commands(std::string workspace, std::size_t max_output, std::function<void()> wake, std::map<std::string, std::string> environment)
    : workspace_(std::move(workspace)), max_output_(max_output), wake_(std::move(wake)), environment_(std::move(environment))
{
}

Commands::~Commands()
{
    done_.close();
    for (auto& [id, running] : running_) running.stop.request_stop();
}

void Commands::start(std::uint64_t id, CommandPlan plan, CommandRequest request, std::optional<std::chrono::milliseconds> limit)
{
    Job job{id, std::move(plan), std::move(request), limit};
    if (running_.size() >= kMostAtOnce) waiting_.push_back(std::move(job));
    else launch(std::move(job));
}

void Commands::launch(Job job)
{
    const std::uint64_t id = job.id;
    Running& running = running_[id];
    running.thread = std::jthread([this, job = std::move(job), stop = running.stop.get_token()] {
        const auto ran = platform::run_process(spec_of(job.plan, job.request, workspace_, environment_), job.request.input, max_output_, job.limit, stop);
        Json how;
        if (ran && ran->ending.cancelled)
            how = Json::object({{"command", job.plan.program}, {"ended", ran->ending.signal == SIGKILL ? "SIGKILL" : ran->ending.signal == SIGTERM ? "SIGTERM" : "itself"}});
        done_.send({job.id, command_result(ran, job.request, max_output_), std::move(how)});
        wake_();
    });
}

void Commands::cancel(std::uint64_t id)
{
    std::erase_if(waiting_, [&](const Job& job) { return job.id == id; });
    const auto found = running_.find(id);
    if (found == running_.end()) return;
    found->second.wanted = false;
    found->second.told = std::chrono::steady_clock::now();
    found->second.stop.request_stop();
}

std::vector<Commands::Done> Commands::take()
{
    std::vector<Done> out;
    for (Done& done : done_.drain()) {
        const auto found = running_.find(done.id);
        const bool wanted = found != running_.end() && found->second.wanted;
        if (found != running_.end() && found->second.told && done.stopped.is_object() && stopped_.size() < kMostStopped) {
            const auto after = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - *found->second.told);
            stopped_.push(done.stopped.set("afterMs", after.count()));
        }
        if (found != running_.end()) running_.erase(found);
        if (wanted) out.push_back(std::move(done));
    }
    while (!waiting_.empty() && running_.size() < kMostAtOnce) {
        Job next = std::move(waiting_.front());
        waiting_.pop_front();
        launch(std::move(next));
    }
    return out;
}

}  // namespace mill::runner

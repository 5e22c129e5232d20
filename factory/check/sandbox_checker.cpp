#include "factory/check/sandbox_checker.h"

#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "factory/check/ending.h"
#include "factory/check/report.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/mailbox.h"
#include "platform/files.h"
#include "platform/orphan.h"
#include "platform/sandbox.h"

namespace mill::factory {
namespace {

using platform::Captured;
using platform::SandboxSpec;

/// A few threads that take work in order. Work gets the stop token and is called even after the stop, so that its caller is answered.
class Lane {
public:
    using Work = std::function<void(const std::stop_token&)>;

    Lane(std::size_t threads, std::size_t waiting) : queue_(waiting)
    {
        for (std::size_t i = 0; i < threads; ++i)
            threads_.emplace_back([this](const std::stop_token& stop) {
                while (auto work = queue_.receive()) (*work)(stop);
            });
    }
    ~Lane()
    {
        for (auto& thread : threads_) thread.request_stop();
        queue_.close();
    }
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    bool post(Work work) { return queue_.try_send(std::move(work)); }

private:
    Mailbox<Work> queue_;
    std::vector<std::jthread> threads_;
};

/// A file that goes with this object.
class Staged {
public:
    Staged(const std::string& folder, std::string_view bytes) : path(fmt::format("{}/{}.mwp", folder, new_uid())), written(platform::write_file(path, bytes, 0600)) {}
    ~Staged() { (void)platform::remove_tree(path); }
    Staged(const Staged&) = delete;
    Staged& operator=(const Staged&) = delete;

    const std::string path;
    const Status written;
};

/// What a run that ended in its own way has printed; else how it ended, in words.
Result<std::string> report_of(Captured&& ran, const Limits& limits)
{
    if (!ran.ending.cancelled && ran.dropped != 0 && ran.out.size() == kMostReport)
        return fail(Errc::too_large, fmt::format("the check printed more than the {} that a report may have", format_bytes({kMostReport})));
    if (auto wrong = bad_ending(ran.ending, ran.err, limits, "check")) return fail(std::move(*wrong));
    return std::move(ran.out);
}

class SandboxChecker final : public PackageChecker {
public:
    explicit SandboxChecker(SandboxCheckerOptions options)
        : options_(std::move(options)), packages_(options_.at_once, options_.packages_waiting), inputs_(options_.at_once, options_.inputs_waiting)
    {
        packages_.post([this](const std::stop_token&) { look(); });
    }

    bool check_package(std::string_view bytes, PackageDone done) override
    {
        return packages_.post([this, bytes, done = std::move(done)](const std::stop_token& stop) {
            done(check_bytes(bytes, stop));
        });
    }

    bool check_package_file(std::string path, PackageDone done) override
    {
        return packages_.post([this, path = std::move(path), done = std::move(done)](const std::stop_token& stop) { done(check_file(path, stop)); });
    }

    bool check_input(Json schema, Json value, InputDone done) override
    {
        return inputs_.post([this, text = Json::object({{"schema", std::move(schema)}, {"value", std::move(value)}}), done = std::move(done)](const std::stop_token& stop) {
            SandboxSpec spec = sandbox({"--check-input"});
            spec.limits.memory = options_.input_memory;
            spec.limits.time = options_.input_time;
            spec.limits.cpu = options_.input_cpu;
            auto said = run(spec, dump_json(text), stop);
            done(said ? parse_input_report(*said) : fail(std::move(said.error())));
        });
    }

    std::string problem() const override
    {
        const std::scoped_lock lock(mutex_);
        return problem_;
    }

private:
    /// At the start, so that doctor and readyz know before somebody uploads.
    void look()
    {
        const std::string runner = runner_program();
        if (!platform::exists(runner)) (void)unavailable(missing_runner(runner));
        else if (const std::string problem = platform::find_isolation().problem; !problem.empty()) (void)unavailable(fmt::format("no sandbox can be started: {}", one_line(problem, 300)));
    }

    std::string runner_program() const { return runner_or_sibling(options_.runner); }
    SandboxSpec sandbox(std::vector<std::string> arguments) const { return bare_sandbox(runner_program(), std::move(arguments)); }

    Result<CheckedPackage> check_bytes(std::string_view bytes, const std::stop_token& stop)
    {
        if (stop.stop_requested()) return fail(stopping());
        const Staged staged(options_.staging, bytes);
        if (!staged.written) return fail(unavailable(fmt::format("staging the upload: {}", staged.written.error().what)));
        return check_file(staged.path, stop);
    }

    Result<CheckedPackage> check_file(const std::string& path, const std::stop_token& stop)
    {
        if (!platform::exists(path)) return fail(Errc::not_found, "the package's file is gone from the data folder");
        SandboxSpec spec = sandbox({"--check", "/package.mwp", "--json"});
        spec.mounts.push_back({path, "/package.mwp", false});
        spec.limits.memory = options_.memory;
        spec.limits.time = spec.limits.cpu = options_.time;
        auto said = run(spec, {}, stop);
        if (!said) return fail(std::move(said.error()));
        return parse_package_report(*said);
    }

    Result<std::string> run(const SandboxSpec& spec, std::string_view input, const std::stop_token& stop)
    {
        if (stop.stop_requested()) return fail(stopping());
        if (!platform::exists(spec.program)) return fail(unavailable(missing_runner(spec.program)));
        auto ran = platform::run_sandbox(spec, input, kMostReport, stop);
        if (!ran) return fail(unavailable(ran.error().what));
        auto report = report_of(std::move(*ran), spec.limits);
        if (!report && report.error().code == Errc::unavailable) return fail(unavailable(report.error().what));
        if (report || report.error().code != Errc::cancelled) works();
        return report;
    }

    Error unavailable(const std::string& what)
    {
        const std::scoped_lock lock(mutex_);
        if (problem_ != what) log::warning("check", "packages cannot be checked: {}", what);
        problem_ = what;
        return {Errc::unavailable, what};
    }
    void works()
    {
        const std::scoped_lock lock(mutex_);
        problem_.clear();
    }

    const SandboxCheckerOptions options_;
    mutable std::mutex mutex_;
    std::string problem_;
    Lane packages_, inputs_;   // last: their threads use the rest
};

}  // namespace

Result<std::unique_ptr<PackageChecker>> make_sandbox_checker(SandboxCheckerOptions options)
{
    platform::end_orphans();
    if (auto gone = platform::remove_tree(options.staging); !gone) return fail("staging", gone.error());
    if (auto made = platform::make_folder(options.staging, 0700); !made) return fail("staging", made.error());
    return std::make_unique<SandboxChecker>(std::move(options));
}

}  // namespace mill::factory

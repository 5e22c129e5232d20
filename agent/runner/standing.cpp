#include "agent/runner/standing.h"

#include <fmt/format.h>

#include "agent/runner/folder_copy.h"

namespace mill::runner {

void Standing::look(const workflows::Interpreter& run, bool stands)
{
    if (stands && !stands_) {
        parts_.reporter.state(protocol::JobState::waiting);
        since_ = parts_.clock.steady();
    }
    if (!stands && stands_) {
        waited_ = waited();
        parts_.reporter.state(protocol::JobState::running);
        parts_.send(Json::object({{"goes", Json::object({{"waitedMs", waited_.count()}})}}));
        on_go();
    }
    const bool anew = stands && (!stands_ || !kept_ || std::exchange(renew_, false));
    stands_ = stands;
    if (anew) say(run);
}

bool Standing::may_go()
{
    if (!kept_) return true;
    if (!std::exchange(asked_, true)) parts_.send(Json::object({{"leave", true}}));
    return false;
}

void Standing::restored(Milliseconds waited)
{
    stands_ = kept_ = renew_ = true;
    waited_ = waited;
    since_ = parts_.clock.steady();
    parts_.reporter.log("info", "the machine was started again; the job goes on where it waited", "");
}

void Standing::say_again(const workflows::Interpreter& run)
{
    asked_ = false;
    if (stands_) say(run);
    else if (waited_.count() > 0) parts_.send(Json::object({{"goes", Json::object({{"waitedMs", waited_.count()}})}}));
}

void Standing::say(const workflows::Interpreter& run)
{
    Json waits = Json::object({{"waitedMs", waited_.count()}});
    Result<Json> made = parts_.asking.at_terminal() ? Result<Json>(Json()) : snapshot(run);
    if (made) {
        waits.set("snapshot", std::move(*made));
    } else if (!std::exchange(warned_, true)) {
        parts_.reporter.log("warning", fmt::format("a restart of this machine would end the job while it waits: {}", made.error().what), "");
    }
    kept_ = true;
    waits.set("after", parts_.reporter.last());
    parts_.send(Json::object({{"waits", std::move(waits)}}));
}

Result<Json> Standing::snapshot(const workflows::Interpreter& run) const
{
    auto out = run.snapshot();
    if (!out) return fail(out.error());
    if (const std::size_t size = dump_json(*out).size(); size > kMostSnapshot)
        return fail(Errc::too_large, fmt::format("its data has {}, and {} are kept", format_bytes(ByteCount{size}), format_bytes(ByteCount{kMostSnapshot})));
    auto folder = copy_folder(parts_.workspace);
    if (!folder) return fail(folder.error());
    return Json::object({{"run", std::move(*out)}, {"asks", parts_.asking.saved()}, {"folder", std::move(*folder)}, {"waitedMs", waited_.count()}});
}

Milliseconds Standing::waited() const { return waited_ + std::chrono::duration_cast<Milliseconds>(parts_.clock.steady() - since_); }

}  // namespace mill::runner

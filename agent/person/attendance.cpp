#include "agent/person/attendance.h"

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::agent {
namespace {

/// One agent for each person: two would ask the same person twice, and each take half of the desktop for its own.
Result<platform::Handle> lock_desktop(const std::string& data_folder)
{
    const std::string path = platform::desktop_lock_path("millwright-agent");
    if (path.empty()) return platform::Handle();   // no session that could have another
    auto lock = platform::lock_file(path);
    if (!lock && lock.error().code == Errc::conflict)
        return fail(Errc::conflict, fmt::format("an attended agent of this user runs already ({}); one is enough for all factories: end that one (millwright-agent stop --data ITS_FOLDER), "
                                                "or enrol it at this factory, too; {} starts when it has ended", lock.error().what, data_folder));
    if (!lock) log::warning("person", "whether another agent stands beside this person is not known: {}", lock.error().what);
    return lock ? std::move(*lock) : platform::Handle();
}

}  // namespace

Result<std::unique_ptr<Attendance>> Attendance::open(const Machine& machine, const std::vector<std::unique_ptr<AtFactory>>& factories)
{
    std::vector<AtFactory*> attended;
    for (const auto& factory : factories)
        if (factory->identity().mode == protocol::AgentMode::attended) attended.push_back(factory.get());
    if (attended.empty()) return std::unique_ptr<Attendance>();
    auto lock = lock_desktop(machine.data_folder);
    if (!lock) return fail(std::move(lock.error()));
    std::unique_ptr<Attendance> out(new Attendance(machine, std::move(*lock)));
    std::vector<PersonRoom::Factory> served;
    for (AtFactory* factory : attended) {
        PersonRoom* room = out->room_.get();
        out->persons_.emplace_back(factory, std::make_unique<AtPerson>(AtPerson::Parts{factory->identity().folder, factory->person_rules(), factory->desk(), machine.clock, out->changes_,
                                                                                       [room] { return room->facts(); }, [room] { return room->session(); }, &factory->starts_here()}));
        factory->on_lost([person = out->persons_.back().second.get()](const protocol::AttemptId& id, const std::string& why) { person->lost(id, why); });
        served.push_back({out->persons_.back().second.get(), factory->identity().name, factory->identity().factory_url});
        out->persons_.back().second->begun([&](const protocol::AttemptId& id) { return factory->journal().knows(id); });
        out->seen_.remember(factory->journal());
    }
    out->room_->serve(std::move(served));
    return out;
}

Attendance::Attendance(const Machine& machine, platform::Handle lock)
    : machine_(machine), lock_(std::move(lock)), changes_(machine.clock.now()), seen_(machine.ledger)
{
    room_ = std::make_unique<PersonRoom>(PersonRoom::Parts{machine_.clock, changes_, seen_, [this](Command command) { to_runs_(std::move(command)); }, machine_.paused, machine_.hold, machine_.pause,
                                                                [this](const platform::DesktopPlace& place) { look_at(place); }});
    seen_.on_change([this] { changes_.bump(); });
    seen_.on_tell([this](Json tell) { room_->tell(std::move(tell)); });
}

AtPerson* Attendance::of(const AtFactory& factory) const
{
    for (const auto& [at, person] : persons_)
        if (at == &factory) return person.get();
    return nullptr;
}

/// On the watch's own thread, and once on ours.
void Attendance::seen(const platform::DesktopSession& session)
{
    room_->set_session(session);
    for (const auto& [factory, person] : persons_) factory->nudge();
}

void Attendance::serve(std::function<void(Command)> to_runs)
{
    to_runs_ = std::move(to_runs);
    auto socket = serve_person(machine_.data_folder, *room_);
    if (socket) socket_ = std::move(*socket);
    else log::error("person", "no face of this agent can reach it, and nobody is asked anything: {}", socket.error().what);
}

void Attendance::watch()
{
    auto watch = platform::watch_desktop([this](const platform::DesktopSession& session) { seen(session); });
    if (!watch) return log::warning("person", "who sits at this desktop is not seen: {}", watch.error().what);
    const std::scoped_lock lock(mutex_);
    watch_ = std::move(*watch);
    seen(watch_->now());   // before it looks elsewhere: what it sees then is newer
    if (!told_.display.empty()) watch_->look_at(told_);
}

/// A service of this user may have begun before there was a desktop; whoever shows its face there knows where it is.
void Attendance::look_at(const platform::DesktopPlace& place)
{
    const std::scoped_lock lock(mutex_);
    told_ = place;
    if (watch_) watch_->look_at(place);
}

void Attendance::close()
{
    socket_.server.reset();
    socket_.timer.reset();
    watch_.reset();
}

}  // namespace mill::agent

#include "agent/companion/faces.h"

#include <algorithm>

#include "agent/companion/menu_of.h"
#include "agent/companion/stop_key.h"
#include "platform/base/log.h"
#include "platform/machine.h"

namespace mill::companion {
namespace {

constexpr std::chrono::seconds kCall{15};
constexpr std::size_t kMostEnds = 50;
constexpr Language kTold = Language::english;   // status and doctor speak it

}  // namespace

Faces::Faces(FacesParts parts) : parts_(std::move(parts))
{
    if (!parts_.keys) key_problem_ = mill::companion::say(kTold, "faces.key_off");
    if (parts_.bus == nullptr) {
        if (parts_.keys && parts_.wayland) key_problem_ = mill::companion::say(kTold, "faces.key_no_bus");
        return;
    }
    notifications_ = std::make_unique<platform::Notifications>(
        *parts_.bus, platform::Notifications::Heard{[this](const std::string& name, const std::string& action) {
                                                        const auto open = shown_.find(name);
                                                        const auto ended = ended_.find(name);
                                                        const auto& deeds = open != shown_.end() ? open->second.deeds : ended != ended_.end() ? ended->second : std::map<std::string, Deed>();
                                                        if (const auto found = deeds.find(action); found != deeds.end()) act(name, Deed(found->second));
                                                    },
                                                    [this](const std::string& name) {
                                                        ended_.erase(name);
                                                        const auto found = shown_.find(name);
                                                        if (found != shown_.end() && found->second.dismissed) act(name, Deed(*found->second.dismissed));
                                                    },
                                                    [this] { send_report(); }});
    tray_ = std::make_unique<platform::Tray>(*parts_.bus, "millwright-companion",
                                             platform::Tray::Heard{[this] { act("", open_page("launcher")); }, [this](const std::string& item) { chosen(item); }, [this] { send_report(); }});
    tray_->set(look_of(person_, parts_.language), menu_of(person_, parts_.language));
    if (!parts_.keys || !parts_.wayland) return;
    portal_ = std::make_unique<platform::ShortcutPortal>(*parts_.bus, "stop-everything", mill::companion::say(parts_.language, "tray.stop"), *parts_.keys,
                                                         platform::ShortcutPortal::Heard{[this] { stop("key"); }, [this] {
                                                                                             if (portal_->granted().empty()) key_works_not({Errc::unavailable, portal_->why()});
                                                                                             else key_works();
                                                                                         }});
}

void Faces::hear(const News& news)
{
    person_ = news.person;
    if (tray_) tray_->set(look_of(person_, parts_.language), menu_of(person_, parts_.language));
    if (person_.is_null()) {
        told_ = false;   // the next one has not heard of us
        ++agent_;
        return;
    }
    show_open(person_);
    send_report();
}

void Faces::show_open(const Json& person)
{
    if (!notifications_) return;
    std::set<std::string> there;
    for (Shown& each : open_notices(person, parts_.language)) {
        there.insert(each.name);
        const auto [at, fresh] = shown_.try_emplace(each.name);
        // What was put away, or went by itself, is not shown again while it is as it was.
        if (!fresh && at->second == each) continue;
        at->second = each;
        notifications_->show(each.name, each.notice);
    }
    for (auto at = shown_.begin(); at != shown_.end();) {
        if (there.contains(at->first)) {
            ++at;
            continue;
        }
        notifications_->close(at->first);   // answered elsewhere, or its time is over
        at = shown_.erase(at);
    }
    for (const Shown& each : ends_.look(person, parts_.language)) {
        if (ended_.size() >= kMostEnds) ended_.erase(ended_.begin());
        ended_[each.name] = each.deeds;
        notifications_->show(each.name, each.notice);
    }
}

void Faces::chosen(const std::string& item)
{
    if (item == "stop") return stop("tray");
    if (const auto deed = deed_of(item, system_clock().now())) act("", *deed);
}

void Faces::act(const std::string& name, const Deed& deed)
{
    const bool begun = parts_.errands.begin([this, name, deed]() -> Errands::Then {
        if (deed.target.empty()) {
            const Status shown = parts_.show_page(deed.what, deed.id);
            if (shown) return {};
            return [this, name, deed, shown] { answered(name, deed, fail(shown.error())); };
        }
        auto said = parts_.client.ask("POST", deed.target, deed.body, kCall);
        return [this, name, deed, said = std::move(said)] { answered(name, deed, said); };
    });
    if (!begun) say("refused", refused_notice(parts_.language, {}, mill::companion::say(parts_.language, "notify.busy")));
}

void Faces::answered(const std::string& name, const Deed& deed, const Result<Said>& said)
{
    if (said && said->well()) return;
    log::info("faces", "{} was refused: {}", deed.target.empty() ? "the page" : deed.target, said ? said->detail() : said.error().what);
    const std::string why = said ? why_not(parts_.language, said->body) : said.error().what;
    // A message that was dismissed meanwhile: nobody misses it.
    if (said && deed.target.starts_with("/v1/tells/")) return;
    const bool over = said && (said->status == 404 || said->status == 409 || said->status == 410);
    say("refused", refused_notice(parts_.language, over ? deed : Deed{}, why));
    // It is still open: with the next word of the agent it is shown again, and now from what is known.
    if (over || !shown_.contains(name) || deed.target.empty() || !notifications_) return;
    notifications_->close(name);
    notifications_->show(name, shown_.at(name).notice);
}

void Faces::stop(const std::string& way)
{
    // Not by `begin` alone: when all threads are taken, this one is waited for.
    const bool begun = parts_.errands.begin([this, way]() -> Errands::Then {
        auto said = stop_everything(parts_.client, way, {});
        return [this, said = std::move(said)] { stopped(said); };
    });
    if (!begun) stopped(stop_everything(parts_.client, way, {}));
}

void Faces::stopped(const Result<Said>& how)
{
    if (how && how->well()) say("stop", stopped_notice(parts_.language, how->body["stopped"].size()));
    else say("stop", not_stopped_notice(parts_.language, how ? why_not(parts_.language, how->body) : how.error().what));
}

void Faces::say(const std::string& name, platform::Notice notice)
{
    if (!notifications_) return;
    notifications_->close(name);   // the same words again are news
    notifications_->show(name, std::move(notice));
}

void Faces::key_works()
{
    key_there_ = true;
    key_problem_.clear();
    if (notifications_) notifications_->close("key");
    send_report();
}

void Faces::key_works_not(const Error& why)
{
    key_there_ = false;
    if (key_problem_ == why.what) return;
    key_problem_ = why.what;
    log::warning("stop", "there is no stop key: {}", why.what);
    if (parts_.keys)
        say("key", {mill::companion::say(parts_.language, "notify.no_key", {{"key", platform::format_key(*parts_.keys)}}),
                    mill::companion::say(parts_.language, "notify.no_key.how", {{"why", why.what}}), {}, false});
    send_report();
}

void Faces::clear()
{
    if (!notifications_) return;
    for (const auto& [name, shown] : shown_) notifications_->close(name);
    for (const auto& [name, deeds] : ended_) notifications_->close(name);
    for (const char* name : {"stop", "key", "refused"}) notifications_->close(name);
}

Json Faces::report() const
{
    Json problems = Json::array();
    const auto problem = [&](std::string_view key, const std::string& why = "") { problems.push(mill::companion::say(kTold, key, {{"why", why}})); };
    const bool notifications = notifications_ && notifications_->there(), tray = tray_ && tray_->there();
    if (!notifications_) problem("faces.no_bus", parts_.no_bus);
    else if (!notifications) problem("faces.no_notifications");
    else if (!notifications_->actions()) problem("faces.no_actions");
    if (tray_ && !tray) problem("faces.no_tray");
    if (!key_there_) problem("faces.no_key", key_problem_);
    if (parts_.page.empty()) problem("faces.no_page", parts_.no_page);
    const std::string key = !key_there_ || !parts_.keys ? "" : portal_ ? portal_->granted() : platform::format_key(*parts_.keys);
    return Json::object({{"kind", "companion"}, {"pid", platform::process_number()}, {"notifications", notifications}, {"tray", tray}, {"stopKey", key.empty() ? Json() : Json(key)},
                         {"page", parts_.page.empty() ? Json() : Json(parts_.page)}, {"display", parts_.display}, {"authority", parts_.authority}, {"problems", std::move(problems)}});
}

/// One after the other: what was said first must not arrive last.
void Faces::send_report()
{
    if (person_.is_null() || reporting_) return;
    Json now = report();
    if (told_ && now == reported_) return;
    reporting_ = parts_.errands.begin([this, now, to = agent_]() -> Errands::Then {
        auto said = parts_.client.ask("POST", "/v1/faces", now, kCall);
        return [this, to, well = said && said->well()] {
            reporting_ = false;
            told_ = well && to == agent_;          // if not: with the agent's next word
            if (well || to != agent_) send_report();   // what changed meanwhile
        };
    });
    if (reporting_) reported_ = std::move(now);
}

}  // namespace mill::companion

// agent/person/at_person.h -- the person at one factory: what that factory lets them start and asks them, their consents, their starts.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "agent/desk.h"
#include "agent/factory_client.h"
#include "agent/person/changes.h"
#include "agent/person/consents.h"
#include "agent/person/launches.h"
#include "agent/person/starts_here.h"
#include "agent/person/told.h"
#include "agent/self/vitals.h"
#include "platform/base/mailbox.h"

namespace mill::agent {

/// Thread: `run` its own, which calls the factory; everything else any, and never waits for the network.
class AtPerson : public Beside {
public:
    struct Parts {
        std::string folder;                       ///< DIR/factories/ID: consents.json, launches.json, person.json
        PersonRules rules;
        Desk& desk;
        const Clock& clock;
        Changes& changes;
        std::function<Json()> facts, session;     ///< as they are now: `session` and `faces`; the first of them alone
        StartsHere* here = nullptr;               ///< none: everything waits for the factory
    };
    /// So long after the factory was seen last what it allowed still holds.
    static constexpr std::chrono::hours kTermsHold{24 * 7};
    explicit AtPerson(Parts parts);

    /// `factory` is this thread's own. `vital` says how it goes.
    void run(FactoryClient& factory, Vitals::Loop& vital, std::stop_token stop);

    // Of the faces.
    void launch(Launch launch, Tell tell);
    void answer(std::string question, Json answer, std::string comment, Tell tell);
    void cancel(std::string job, std::string why, Tell tell);
    Told choose(const std::string& consent, const std::string& choice, const std::string& by);
    void postpone(const std::string& by);     ///< everything is stopped: what has not begun is for later
    /// {user, launchable, questions, jobs} as the factory said last; `launchable` with `offline` and `unavailable`.
    Json view() const;
    const Consents& consents() const { return consents_; }
    const Launches& launches() const { return launches_; }
    /// What began here while the factory was away was given back before it started.
    void lost(const protocol::AttemptId& id, const std::string& why);
    /// Of a restart, before anything else: what of an attempt's consent was used is what the journal knows.
    void begun(const std::function<bool(const protocol::AttemptId&)>& known) { consents_.begun(known); }
    std::string user() const;
    bool is_online(std::string* why = nullptr) const;
    bool may_launch(const std::string& trigger) const;
    bool asks(const std::string& question) const;

    // Of the link.
    Word hear(const protocol::Offer& offer, const Json& said) override;
    void new_session() override { consents_.expect_again(); }
    void hear_again(const protocol::AttemptId& id, const Json& said) override;
    std::vector<Json> granted() override;
    bool may_begin() const override { return consents_.may_begin(); }
    std::optional<Json> withdrawn(const protocol::AttemptId& id) override;
    Json facts() const override { return parts_.facts(); }
    Json session() const override { return parts_.session(); }
    void has_news(std::int64_t version) override;
    void online(bool is, const std::string& why) override;

private:
    struct Errand {
        std::string route;             ///< empty: only to look what there is to do
        Json body;
        std::optional<Launch> launch;  ///< kept for later when the factory is away
        Tell tell;
    };
    void look();
    void do_errand(Errand errand, FactoryClient& factory, std::stop_token stop);
    Status fetch(FactoryClient& factory, std::stop_token stop, Refusal& refusal);
    Status hand_over(FactoryClient& factory, Vitals::Loop& vital, std::stop_token stop, Refusal& refusal);
    void expire();
    void say_asking(const protocol::AttemptId& id, const Consents::Verdict& verdict, const Json& said);
    void decline(const protocol::AttemptId& id, const std::string& why, const std::string& choice, const std::string& by, const Json& until);
    Told keep(Launch launch);
    Told begin_or_keep(Launch launch);
    Status tell_of_begun(FactoryClient& factory, Vitals::Loop& vital, std::stop_token stop, Refusal& refusal);
    /// By what it may begin here now, while the factory is away; null: it may not.
    Json terms_locked(const Json& item) const;
    std::string title_of(const std::string& trigger) const;
    void keep_view(bool changed);
    void settle(const Consents::Settled& settled);
    void load();
    std::optional<Milliseconds> wait_time(std::optional<SteadyTime> again) const;
    bool wants_fetch() const;

    Parts parts_;
    Consents consents_;
    Launches launches_;
    Mailbox<Errand> errands_{256};
    mutable std::mutex mutex_;
    bool online_ = false, known_ = true;      // known_: this factory knows of persons
    bool stale_ = true;                       // the view is to be fetched
    std::string offline_why_ = "the agent has just started";
    std::int64_t news_ = 0;                   // the version that the factory named last
    Json view_ = Json::object({});
    SteadyTime tell_until_;                   // so long what began here is looked for
    WallTime seen_, seen_kept_;               // the factory was there last; as the file says
};

}  // namespace mill::agent

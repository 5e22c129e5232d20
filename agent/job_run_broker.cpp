// What an attempt has to do with the broker before it can begin: its grants, and its credentials in a box that the broker alone opens.
#include <algorithm>
#include <utility>

#include "agent/job_run.h"
#include "agent/job_words.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"

namespace mill::agent {
namespace {

using protocol::JobState;
using protocol::Reason;

constexpr Milliseconds kSealPause{250}, kSealPauseMost{15'000};
constexpr std::chrono::seconds kSealPatience{10}; // then effects that need no credential need not wait any longer

}  // namespace

void JobRun::open_broker()
{
    opened_ = told_missing_ = false;
    if (spec_.sealed.empty()) return ports_.to_broker(open_words(spec_));
    sealing_since_ = ports_.clock.steady();
    sealing_pause_ = Milliseconds(0);
    ask_for_box();
}

void JobRun::ask_for_box()
{
    seal_at_.reset();
    const std::string& key = ports_.broker_key();
    if (key.empty()) return;
    if (!ports_.seal({spec_.id, spec_.sealed, spec_.attempt_token, key})) not_sealed({Errc::unavailable, "too many attempts ask for their credentials"});
}

void JobRun::on_sealing_key(const Json* held)
{
    broker_new_ = held == nullptr;
    if (held != nullptr) learn((*held)["reveal"]);
    if (!opened_ && !spec_.sealed.empty() && phase_ != Phase::leaving && phase_ != Phase::over) ask_for_box();
}

void JobRun::on_sealed(const std::string& broker_key, Result<SealedBox> box)
{
    if (phase_ == Phase::leaving || phase_ == Phase::over) return;
    if (broker_key != ports_.broker_key()) return;  // that broker is gone; a box for the new one is asked for
    if (!box) return not_sealed(box.error());
    sealing_trouble_.clear();
    sealing_since_.reset();
    ports_.to_broker(open_words(spec_, *box));
}

/// Before the start: another agent may have it while the factory is not reachable, else the job fails. Later the job goes on: what needs
/// a credential fails with the reason.
void JobRun::not_sealed(const Error& error)
{
    const SteadyTime now = ports_.clock.steady();
    const bool again = is_retryable(error);
    if (sealing_trouble_ != error.what) log::warning("job", "{}: {}", key_, error.what);
    sealing_trouble_ = error.what;
    if (again) {
        sealing_pause_ = std::clamp(sealing_pause_ * 2, kSealPause, kSealPauseMost);
        seal_at_ = now + sealing_pause_;
    }
    if (beginning()) {
        if (error.code == Errc::not_found) give_back(error.what);
        else if (!again) fail_start(error.what);
        return;
    }
    if (opened_ || !broker_new_) return;  // it goes on with what it has
    if (again && sealing_since_ && now < *sealing_since_ + kSealPatience) return;
    ports_.to_broker(open_words(spec_, std::nullopt, error.what));
}

void JobRun::fail_start(const std::string& why)
{
    stop_now(Cause{JobState::failed, Reason::refused, why, Json()});
}

void JobRun::on_opened(const Json& answer)
{
    if (const std::string& error = answer["error"].as_string(); !error.empty()) {
        if (beginning()) return fail_start(error);
        log::error("job", "{}: the broker does not open it: {}", key_, error);
        // What needs no credential goes on; but words that were refused without any are not said again, and what a broker has it keeps.
        if (broker_new_ && !std::exchange(told_missing_, true)) ports_.to_broker(open_words(spec_, std::nullopt, error));
        return;
    }
    learn(answer["reveal"]);
    opened_ = true;
    commit();
}

/// What the job may have in plain is masked in what it says of itself.
void JobRun::learn(const Json& revealed)
{
    for (const Json& text : revealed.as_array()) {
        redactor_.add(text.as_string());
        redact_in_log(text.as_string());
    }
}

void JobRun::on_broker()
{
    broker_new_ = true;
    if (phase_ != Phase::leaving && phase_ != Phase::over) open_broker();
}

}  // namespace mill::agent

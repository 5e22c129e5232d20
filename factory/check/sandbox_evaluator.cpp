#include "factory/check/sandbox_evaluator.h"

#include <algorithm>
#include <list>
#include <thread>

#include <fmt/format.h>

#include "factory/check/ending.h"
#include "factory/check/report.h"
#include "platform/base/log.h"
#include "platform/base/mailbox.h"
#include "platform/channel.h"
#include "platform/files.h"

namespace mill::factory {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMostAnswer = 8UL * 1024 * 1024;   // values are text within text: escaped they may be several times as large
constexpr std::size_t kDeepestAnswer = 128;

/// One sandbox: millwright-runner with the expressions of one notifier in it. Thread: the one that made it.
class Bench {
public:
    /// Errors: unavailable (no sandbox), and those of ask().
    static Result<std::unique_ptr<Bench>> open(const SandboxEvaluatorOptions& options, const Json& expressions, const std::stop_token& stop)
    {
        auto bench = std::unique_ptr<Bench>(new Bench(options));
        const std::string runner = runner_or_sibling(options.runner);
        if (!platform::exists(runner)) return fail(Errc::unavailable, missing_runner(runner));
        auto ends = platform::Channel::pair();
        if (!ends) return fail(Errc::unavailable, ends.error().what);
        const platform::Handle inside = std::move(ends->second).take_handle();
        platform::SandboxSpec spec = bare_sandbox(runner, {"--evaluate"});
        spec.handles = {{3, &inside}};
        spec.limits.memory = options.memory;
        spec.limits.time = options.time;
        spec.limits.cpu = std::chrono::minutes(10);   // of all its documents: one that has used that much goes, and a fresh one comes
        bench->limits_ = spec.limits;
        auto sandbox = platform::start_sandbox(spec);
        if (!sandbox) return fail(Errc::unavailable, sandbox.error().what);
        bench->sandbox_ = std::move(*sandbox);
        bench->channel_ = std::move(ends->first);
        auto compiled = bench->ask(Json::object({{"expressions", expressions}}), stop);
        if (!compiled) return fail(std::move(compiled.error()));
        bench->mistakes_ = (*compiled)["mistakes"];
        return bench;
    }

    /// Whoever wrote the expressions may have written the answer.
    Result<Json> ask(const Json& question, const std::stop_token& stop)
    {
        last_ = steady_clock::now();
        ++served_;
        const std::string text = dump_json(question);
        if (text.size() > platform::Channel::kMaxMessage) return fail(Errc::too_large, fmt::format("the document is larger than {}", format_bytes({platform::Channel::kMaxMessage})));
        if (auto sent = channel_.send(text, nullptr, stop, options_.time); !sent) return fail(ended(sent.error()));
        auto answer = channel_.receive(options_.time, stop);
        if (!answer) return fail(ended(answer.error()));
        if (!*answer) return fail(ended({Errc::timeout, ""}));
        auto json = parse_json((*answer)->text, {kMostAnswer, kDeepestAnswer});
        if (!json) return fail(lost({Errc::corrupt, fmt::format("the evaluation's answer is not to be read: {}", one_line(json.error().what, 200))}));
        return json;
    }

    const Json& mistakes() const { return mistakes_; }
    bool usable() const { return !lost_ && served_ <= options_.served; }
    bool fresh() const { return served_ <= 2; }   // the expressions and one document
    bool idle(steady_clock::time_point now) const { return now - last_ >= options_.idle; }

private:
    explicit Bench(const SandboxEvaluatorOptions& options) : options_(options) {}

    Error lost(Error why)
    {
        lost_ = true;
        return why;
    }
    Error ended(const Error& why)
    {
        lost_ = true;
        if (why.code == Errc::cancelled) return stopping();
        if (why.code == Errc::timeout) {
            sandbox_->kill();
            return {Errc::timeout, fmt::format("the evaluation was not done after {} s and was ended", static_cast<double>(options_.time.count()) / 1000)};
        }
        auto ending = sandbox_->wait(std::chrono::seconds(5));
        if (!ending) return {Errc::corrupt, "the evaluation ended without an answer"};
        if (auto bad = bad_ending(*ending, sandbox_->said(), limits_, "evaluation")) return *bad;
        return {Errc::corrupt, fmt::format("the evaluation ended without an answer (status {})", ending->exit_code)};
    }

    const SandboxEvaluatorOptions& options_;
    Limits limits_;
    std::unique_ptr<platform::Sandbox> sandbox_;
    platform::Channel channel_;
    Json mistakes_;
    std::size_t served_ = 0;
    bool lost_ = false;
    steady_clock::time_point last_;
};

Result<std::vector<ExpressionMistake>> read_mistakes(const Json& list, std::size_t count)
{
    std::vector<ExpressionMistake> out;
    for (const Json& each : list.as_array()) {
        const std::int64_t index = each["index"].as_integer();
        if (index < 0 || static_cast<std::size_t>(index) >= count) return fail(Errc::corrupt, "the evaluation's answer is not to be read: it names an expression that there is not");
        out.push_back({static_cast<std::size_t>(index), one_line(each["text"].as_string())});
    }
    return out;
}

class SandboxEvaluator final : public ExpressionEvaluator {
public:
    explicit SandboxEvaluator(SandboxEvaluatorOptions options) : options_(std::move(options))
    {
        for (std::size_t i = 0; i < std::max<std::size_t>(options_.threads, 1); ++i) seats_.push_back(std::make_unique<Seat>(*this));
    }

    void stop() override
    {
        for (auto& seat : seats_) seat->stop();
    }

    bool compile(Expressions expressions, std::function<void(Result<std::vector<ExpressionMistake>>)> done) override
    {
        const std::size_t count = expressions.size();
        return post(std::move(expressions), [count, done = std::move(done)](Seat& seat, const Json& texts, const std::stop_token& stop) {
            auto bench = seat.bench(texts, stop);
            done(bench ? read_mistakes((*bench)->mistakes(), count) : fail(std::move(bench.error())));
        });
    }

    bool evaluate(Expressions expressions, Json document, std::vector<std::size_t> which, std::function<void(Result<ExpressionValues>)> done) override
    {
        const std::size_t count = expressions.size();
        return post(std::move(expressions), [count, which = std::move(which), document = std::move(document), done = std::move(done)](Seat& seat, const Json& texts, const std::stop_token& stop) {
            Json wanted = Json::array();
            for (const std::size_t index : which) wanted.push(Json(index));
            const Json question = Json::object({{"document", document}, {"which", std::move(wanted)}});
            auto answer = seat.ask(texts, question, stop);
            done(answer ? values_of(*answer, which, count) : fail(std::move(answer.error())));
        });
    }

private:
    /// One thread with its sandboxes: bubblewrap dies with the thread that started it.
    class Seat {
    public:
        using Work = std::function<void(Seat&, const std::stop_token&)>;
        explicit Seat(SandboxEvaluator& owner) : options_(owner.options_), queue_(options_.waiting), thread_([this](const std::stop_token& stop) { run(stop); }) {}
        ~Seat() { stop(); }
        void stop()
        {
            thread_.request_stop();
            queue_.close();
            if (thread_.joinable()) thread_.join();
        }
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;
        bool post(Work work) { return queue_.try_send(std::move(work)); }

        /// The sandbox that has these expressions, or a new one for them; valid until the next call.
        Result<Bench*> bench(const Json& texts, const std::stop_token& stop)
        {
            if (stop.stop_requested()) return fail(stopping());
            std::string key = dump_json(texts);
            const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& each) { return each.first == key; });
            if (found != kept_.end() && found->second->usable()) {
                kept_.splice(kept_.begin(), kept_, found);
                return kept_.front().second.get();
            }
            if (found != kept_.end()) kept_.erase(found);
            auto made = Bench::open(options_, texts, stop);
            if (!made) return fail(std::move(made.error()));
            while (!kept_.empty() && kept_.size() >= options_.kept) kept_.pop_back();
            kept_.emplace_front(std::move(key), std::move(*made));
            return kept_.front().second.get();
        }

        /// One that was kept may have ended meanwhile (its memory was wanted, an operator, its processor time): once more with a fresh one.
        Result<Json> ask(const Json& texts, const Json& question, const std::stop_token& stop)
        {
            while (true) {
                auto found = bench(texts, stop);
                if (!found) return fail(std::move(found.error()));
                if (!(*found)->mistakes().empty()) return fail(Errc::invalid, one_line((*found)->mistakes()[std::size_t{0}]["text"].as_string()));
                auto answer = (*found)->ask(question, stop);
                if (answer || (*found)->usable() || (*found)->fresh() || answer.error().code == Errc::timeout || answer.error().code == Errc::cancelled) return answer;
            }
        }

    private:
        void run(const std::stop_token& stop)
        {
            while (!stop.stop_requested()) {
                auto work = kept_.empty() ? queue_.receive(stop) : queue_.receive_for(options_.idle / 2, stop);
                if (work) (*work)(*this, stop);
                const auto now = steady_clock::now();
                kept_.remove_if([&](const auto& each) { return each.second->idle(now) || !each.second->usable(); });
            }
            while (auto work = queue_.receive_for(std::chrono::seconds(0))) (*work)(*this, stop);   // each is told that we stop
            kept_.clear();
        }

        const SandboxEvaluatorOptions& options_;
        std::list<std::pair<std::string, std::unique_ptr<Bench>>> kept_;   // used last first
        Mailbox<Work> queue_;
        std::jthread thread_;   // last: it uses the rest
    };

    bool post(Expressions expressions, std::function<void(Seat&, const Json&, const std::stop_token&)> work)
    {
        Json texts = Json::array();
        std::string all;
        for (std::string& each : expressions) {
            all += each;
            texts.push(Json(std::move(each)));
        }
        Seat& seat = *seats_[std::hash<std::string>{}(all) % seats_.size()];
        return seat.post([texts = std::move(texts), work = std::move(work)](Seat& at, const std::stop_token& stop) { work(at, texts, stop); });
    }

    static Result<ExpressionValues> values_of(const Json& answer, const std::vector<std::size_t>& which, std::size_t count)
    {
        if (const Json& error = answer["error"]; error.is_object()) {
            auto mistakes = read_mistakes(Json::array({error}), count);
            if (!mistakes) return fail(std::move(mistakes.error()));
            return ExpressionValues{{}, std::move(mistakes->front())};
        }
        const Json& values = answer["values"];
        if (values.size() != which.size()) return fail(Errc::corrupt, "the evaluation's answer is not to be read: it has another number of values");
        return ExpressionValues{values.as_array(), {}};
    }

    const SandboxEvaluatorOptions options_;
    std::vector<std::unique_ptr<Seat>> seats_;
};

}  // namespace

std::unique_ptr<ExpressionEvaluator> make_sandbox_evaluator(SandboxEvaluatorOptions options) { return std::make_unique<SandboxEvaluator>(std::move(options)); }

}  // namespace mill::factory

// jq in the real sandbox with the real millwright-runner.
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "factory/check/sandbox_evaluator.h"
#include "platform/files.h"
#include "platform/sandbox.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

template <class T>
class Answer {
public:
    auto taker()
    {
        return [this](Result<T> value) {
            const std::scoped_lock lock(mutex_);
            value_ = std::move(value);
            changed_.notify_all();
        };
    }
    Result<T> get()
    {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, 60s, [&] { return value_.has_value(); })) return fail(Errc::internal, "no answer came");
        return std::move(*std::exchange(value_, std::nullopt));
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<Result<T>> value_;
};

std::string runner()
{
    const char* folder = std::getenv("MILL_BIN");
    return folder ? std::string(folder) + "/millwright-runner" : platform::sibling_program("../bin/millwright-runner");
}

SandboxEvaluatorOptions with_runner(SandboxEvaluatorOptions options)
{
    if (options.runner.empty()) options.runner = runner();
    return options;
}

struct Jq {
    explicit Jq(SandboxEvaluatorOptions options = {}) : evaluator(make_sandbox_evaluator(with_runner(std::move(options))))
    {
        if (const std::string problem = platform::find_isolation().problem; !problem.empty()) {
            WARN("SKIP: no sandbox here: " << problem);
            able = false;
        }
    }
    Result<std::vector<ExpressionMistake>> compile(std::vector<std::string> expressions)
    {
        Answer<std::vector<ExpressionMistake>> answer;
        REQUIRE(evaluator->compile(std::move(expressions), answer.taker()));
        return answer.get();
    }
    Result<ExpressionValues> evaluate(std::vector<std::string> expressions, Json document, std::vector<std::size_t> which)
    {
        Answer<ExpressionValues> answer;
        REQUIRE(evaluator->evaluate(std::move(expressions), std::move(document), std::move(which), answer.taker()));
        return answer.get();
    }
    std::unique_ptr<ExpressionEvaluator> evaluator;
    bool able = true;
};

Json document(const char* text) { return *parse_json(text); }

}  // namespace

TEST_CASE("expressions come to their values, in the order asked for", "[check][evaluate]")
{
    Jq jq;
    if (!jq.able) return;
    const std::vector<std::string> all{".output.items | map(.id) | join(\", \")", "{n: (.output.items | length)}", ".output.none", "\"\\(.output.items[0].id)!\""};
    const Json given = document(R"({"output": {"items": [{"id": "a"}, {"id": "ü"}]}})");
    const auto got = jq.evaluate(all, given, {1, 0, 2, 3});
    if (!got) FAIL(got.error().what);
    REQUIRE(!got->mistake);
    CHECK(dump_json(Json(got->values)) == R"([{"n":2},"a, ü",null,"a!"])");
    const auto again = jq.evaluate(all, document(R"({"output": {"items": []}})"), {0});   // the same sandbox, another document
    REQUIRE(again);
    CHECK(again->values.at(0) == Json(""));
}

TEST_CASE("what does not compile is named with jq's own words, all of it", "[check][evaluate]")
{
    Jq jq;
    if (!jq.able) return;
    const auto wrong = jq.compile({".a | foo", ".fine | length", ".a | (", "$ENV.HOME", "input"});
    if (!wrong) FAIL(wrong.error().what);
    std::string seen;
    for (const auto& each : *wrong) seen += fmt::format("{}: {}\n", each.index, each.text);
    CHECK_THAT(seen, Contains("0: foo/0 is not defined"));
    CHECK_THAT(seen, Contains("2: "));
    CHECK_THAT(seen, Contains("3: $ENV is not available"));
    CHECK_THAT(seen, !Contains("1: "));
    const auto fine = jq.compile({".fine | length", ".a[] | select(.b)"});
    REQUIRE(fine);
    CHECK(fine->empty());
}

TEST_CASE("an expression that fails, that never ends and that wants all memory each cost its own delivery only", "[check][evaluate]")
{
    Jq jq({.runner = {}, .time = 15'000ms, .memory = mebibytes(96), .threads = 1, .kept = 4, .served = 10'000, .idle = 20'000ms, .waiting = 1024});
    if (!jq.able) return;
    SECTION("fails: jq's words, no value of the document")
    {
        const auto got = jq.evaluate({".output | length", ".output.secretish + 5"}, document(R"({"output": {"secretish": "swordfish"}})"), {0, 1});
        REQUIRE(got);
        REQUIRE(got->mistake);
        CHECK(got->mistake->index == 1);
        CHECK_THAT(got->mistake->text, Contains("cannot be added") && !Contains("swordfish"));
    }
    SECTION("never ends")
    {
        const auto got = jq.evaluate({"def f: f; f"}, Json::object(), {0});
        if (!got) FAIL(got.error().what);
        REQUIRE(got->mistake);
        CHECK_THAT(got->mistake->text, Contains("longer than 1s"));
    }
    SECTION("wants all memory")
    {
        const auto got = jq.evaluate({"\"0123456789abcdef\" * 20000000 | length"}, Json::object(), {0});
        REQUIRE(!got);
        CHECK(got.error().code == Errc::too_large);
        CHECK_THAT(got.error().what, Contains("memory"));
    }
    SECTION("says more than it may")
    {
        const auto got = jq.evaluate({"\"0123456789abcdef\" * 100000"}, Json::object(), {0});
        REQUIRE(got);
        REQUIRE(got->mistake);
        CHECK_THAT(got->mistake->text, Contains("1 MiB"));
    }
    const auto after = jq.evaluate({".a + 1"}, document(R"({"a": 1})"), {0});
    if (!after) FAIL(after.error().what);
    CHECK(after->values.at(0) == Json(2));
}

TEST_CASE("a kept sandbox that is gone is made anew; without its program the machine is to blame", "[check][evaluate]")
{
    SECTION("each serves so many")
    {
        Jq jq({.runner = {}, .time = 15'000ms, .memory = mebibytes(256), .threads = 1, .kept = 1, .served = 3, .idle = 20'000ms, .waiting = 1024});
        if (!jq.able) return;
        for (int i = 0; i < 9; ++i) {
            const auto got = jq.evaluate({i % 4 == 3 ? ".a - 1" : ".a + 1"}, Json::object({{"a", i}}), {0});   // one is kept: they drive each other out
            if (!got) FAIL(got.error().what);
            CHECK(got->values.at(0) == Json(i % 4 == 3 ? i - 1 : i + 1));
        }
    }
    SECTION("no runner")
    {
        Jq jq({.runner = "/nowhere/millwright-runner", .time = 15'000ms, .memory = mebibytes(256), .threads = 1, .kept = 1, .served = 3, .idle = 20'000ms, .waiting = 1024});
        const auto got = jq.compile({".a | length"});
        REQUIRE(!got);
        CHECK(got.error().code == Errc::unavailable);
        CHECK_THAT(got.error().what, Contains("/nowhere/millwright-runner is missing"));
    }
    SECTION("stopped: what waits is told, and no more is taken")
    {
        Jq jq;
        if (!jq.able) return;
        Answer<ExpressionValues> answer;
        REQUIRE(jq.evaluator->evaluate({"def f: f; f"}, Json::object(), {0}, answer.taker()));
        jq.evaluator->stop();
        const auto got = answer.get();
        CHECK((!got && got.error().code == Errc::cancelled));
        CHECK(!jq.evaluator->evaluate({".a | length"}, Json::object(), {0}, answer.taker()));
    }
}

TEST_CASE("documents a second, and the first", "[.bench]")
{
    Jq jq;
    if (!jq.able) return;
    const Json given = document(R"({"event": "success", "job": {"uid": "0197"}, "output": {"items": [{"id": "a", "n": 1}, {"id": "b", "n": 2}, {"id": "c", "n": 3}]}})");
    const auto once = [&] { return jq.evaluate({".output.items | map(.id) | join(\", \")", "[.output.items[].n] | add"}, given, {0, 1}); };
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(once());
    const auto first = std::chrono::steady_clock::now();
    constexpr int kCount = 5000;
    for (int i = 0; i < kCount; ++i) REQUIRE(once());
    const std::chrono::duration<double> rest = std::chrono::steady_clock::now() - first, start = first - begin;
    WARN(fmt::format("first {:.1f} ms, then {:.0f} documents/s one after the other", start.count() * 1000, kCount / rest.count()));
}

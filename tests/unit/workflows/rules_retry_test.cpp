// How often, when and with what a `try` is tried again.
#include "tests/unit/workflows/rules.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

std::string guarded(const std::string& clause) { return "do: [ { t: { try: [ { g: " + get() + " } ], catch: { " + clause + " } } } ]"; }

std::int64_t took(const std::string& retry, int failures, std::uint64_t seed = 0)
{
    workflows::RunOptions options;
    options.seed = seed;
    return run_flow(guarded("retry: { " + retry + " }"), {}, flaky(failures), options).took.count();
}

}  // namespace

TEST_CASE("count is the number of retries: none, one, several", "[workflows][rules]")
{
    for (const int count : {0, 1, 4}) {
        INFO(count);
        const std::string clause = fmt::format("retry: {{ limit: {{ attempt: {{ count: {} }} }} }}", count);
        const Ran exhausted = run_flow(guarded(clause), {}, flaky(99));
        CHECK(exhausted.requests.size() == static_cast<std::size_t>(count) + 1);
        CHECK(exhausted.fault.status == 503);
        CHECK(exhausted.count("t", "retried") == count);
        CHECK(run_flow(guarded(clause), {}, flaky(count)).words() == R"({"ok":true})");
    }
}

TEST_CASE("what is left when retries are used up is the last fault", "[workflows][rules]")
{
    auto status = std::make_shared<int>(500);
    const Ran ran = run_flow(guarded("retry: { limit: { attempt: { count: 2 } } }"), {}, [status](const EffectRequest&) { return refused("communication", ++*status); });
    CHECK(ran.fault.status == 503);
    CHECK(ran.fault.instance == "/do/0/t/try/0/g");
}

TEST_CASE("a fault that the policy does not take is raised at once, or handled", "[workflows][rules]")
{
    const std::string once = "retry: { when: '$error.status == 404', limit: { attempt: { count: 3 } } }";
    const Ran raised = run_flow(guarded(once), {}, flaky(9));
    CHECK(raised.phase == Phase::faulted);
    CHECK(raised.fault.status == 503);
    CHECK(raised.requests.size() == 1);
    CHECK(run_flow(guarded(once + ", do: [ { h: { set: { handled: '${ $error.status }' } } } ]"), {}, flaky(9)).words() == R"({"handled":503})");
    const Ran except = run_flow(guarded("retry: { exceptWhen: '$error.status == 503', limit: { attempt: { count: 3 } } }"), {}, flaky(9));
    CHECK(except.fault.status == 503);
    CHECK(except.requests.size() == 1);
}

TEST_CASE("when and exceptWhen look at each attempt's own fault", "[workflows][rules]")
{
    auto status = std::make_shared<int>(500);
    const Answers worse = [status](const EffectRequest&) { return refused("communication", ++*status); };
    CHECK(run_flow(guarded("retry: { when: '$error.status < 503', limit: { attempt: { count: 9 } } }, do: [ { h: { set: '${ $error.status }' } } ]"), {}, worse).words() == "503");
    *status = 500;
    CHECK(run_flow(guarded("retry: { exceptWhen: '$error.status == 504', limit: { attempt: { count: 9 } } }, do: [ { h: { set: '${ $error.status }' } } ]"), {}, worse).words() == "504");
}

TEST_CASE("a fault that the filter, when or exceptWhen of the catch lets pass is not tried again", "[workflows][rules]")
{
    const std::string retry = ", retry: { limit: { attempt: { count: 3 } } }";
    for (const std::string clause : {"errors: { with: { status: 404 } }", "when: '$error.status == 404'", "exceptWhen: '$error.status == 503'"}) {
        INFO(clause);
        const Ran ran = run_flow(guarded(clause + retry), {}, flaky(9));
        CHECK(ran.requests.size() == 1);
        CHECK(ran.fault.status == 503);
    }
}

TEST_CASE("constant, linear and exponential backoff, and none, wait as the table says", "[workflows][rules]")
{
    const std::string limit = ", limit: { attempt: { count: 4 } }";
    CHECK(took("delay: PT2S" + limit, 4) == 8'000);
    CHECK(took("delay: PT2S, backoff: { constant: {} }" + limit, 4) == 8'000);
    CHECK(took("delay: PT2S, backoff: { linear: {} }" + limit, 4) == 2'000 + 4'000 + 6'000 + 8'000);
    CHECK(took("delay: PT2S, backoff: { exponential: {} }" + limit, 4) == 2'000 + 4'000 + 8'000 + 16'000);
    CHECK(took("backoff: { exponential: {} }" + limit, 4) == 0);
    CHECK(took("limit: { attempt: { count: 4 } }", 4) == 0);
}

TEST_CASE("jitter is added to every delay and stays between from and to", "[workflows][rules]")
{
    const std::string limit = ", limit: { attempt: { count: 2 } }";
    std::set<std::int64_t> seen;
    for (std::uint64_t seed = 1; seed <= 25; ++seed) {
        const std::int64_t all = took("delay: PT10S, jitter: { from: PT1S, to: PT3S }" + limit, 2, seed);
        CHECK(all >= 2 * 11'000);
        CHECK(all <= 2 * 13'000);
        seen.insert(all);
    }
    CHECK(seen.size() > 15);
    CHECK(*seen.begin() < 23'500);
    CHECK(*seen.rbegin() > 24'500);
    CHECK(took("delay: PT10S, jitter: { from: PT2S, to: PT2S }" + limit, 2) == 24'000);
    CHECK(took("jitter: { from: PT2S, to: PT2S }" + limit, 2) == 4'000);
    CHECK(took("delay: PT10S, jitter: { from: PT1S, to: PT3S }" + limit, 2, 5) == took("delay: PT10S, jitter: { from: PT1S, to: PT3S }" + limit, 2, 5));
}

TEST_CASE("limit.duration counts from the first try to the moment at which the next would begin", "[workflows][rules]")
{
    const auto tries = [](const std::string& whole) { return run_flow(guarded("retry: { delay: PT10S, limit: { duration: " + whole + " } }"), {}, flaky(99)).requests.size(); };
    CHECK(tries("PT9S") == 1);
    CHECK(tries("PT10S") == 2);
    CHECK(tries("PT29S") == 3);
    CHECK(tries("PT30S") == 4);
    auto slow = [](const EffectRequest&) {
        Answer out = refused("communication", 503);
        out.after = Milliseconds(4'000);
        return out;
    };
    CHECK(run_flow(guarded("retry: { delay: PT1S, limit: { duration: PT10S } }"), {}, slow).requests.size() == 3);  // begins at 0, 5 and 10 s
}

TEST_CASE("whichever of count and duration comes first ends the retries", "[workflows][rules]")
{
    CHECK(run_flow(guarded("retry: { delay: PT10S, limit: { duration: PT1H, attempt: { count: 2 } } }"), {}, flaky(99)).requests.size() == 3);
    CHECK(run_flow(guarded("retry: { delay: PT10S, limit: { duration: PT15S, attempt: { count: 9 } } }"), {}, flaky(99)).requests.size() == 2);
}

TEST_CASE("each attempt has its own duration; one that is too long is a timeout that is tried again", "[workflows][rules]")
{
    auto calls = std::make_shared<int>(0);
    const Answers third = [calls](const EffectRequest&) { return ++*calls < 3 ? never() : Answer{.result = http_ok(R"({"n":3})"), .fault = {}, .never = false, .after = Milliseconds(4'000)}; };
    const Ran ran = run_flow(guarded("retry: { delay: PT1S, limit: { attempt: { count: 5, duration: PT5S } } }"), {}, third);
    CHECK(ran.words() == R"({"n":3})");
    CHECK(ran.took == Milliseconds(2 * (5'000 + 1'000) + 4'000));
    CHECK(ran.cancelled.size() == 2);
    for (const EffectRequest& request : ran.requests) CHECK(request.timeout == Milliseconds(5'000));
    CHECK(ran.count("g", "cancelled") == 2);
}

TEST_CASE("the limit of an attempt does not hold for the handler", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { t: { try: [ { w: { wait: PT1H } } ], catch: { retry: { limit: { attempt: { count: 0, duration: PT5S } } }, do: [ { h: { wait: PT30S } }, { s: { set: '${ $error.status }' } } ] } } } ]").words() ==
          "408");
}

TEST_CASE("each attempt begins with the try's input", "[workflows][rules]")
{
    auto calls = std::make_shared<int>(0);
    const Ran ran = run_flow("do: [ { t: { input: { from: '{n: .n}' }, try: [ { s: { set: { n: '${ .n + 1 }' } } }, { l: { call: file.read, with: { path: '${ \"/\\(.n)\" }' } } } ], catch: { retry: { limit: { attempt: { count: 2 } } } } } } ]",
                             json(R"({"n":5})"), [calls](const EffectRequest&) { return ++*calls < 3 ? refused("runtime", 500) : Answer{.result = json(R"({"size":1})"), .fault = {}}; });
    REQUIRE(ran.requests.size() == 3);
    for (const EffectRequest& request : ran.requests) CHECK(request.with["path"] == Json("/6"));
    CHECK(ran.words() == R"({"size":1})");
}

TEST_CASE("a try that is reached again counts anew", "[workflows][rules]")
{
    auto calls = std::make_shared<int>(0);
    const Ran ran = run_flow("do: [ { l: { for: { in: '[1,2]' }, do: [ { t: { try: [ { g: " + get() + " } ], catch: { retry: { limit: { attempt: { count: 1 } } } } } } ] } } ]", {},
                             [calls](const EffectRequest&) { return ++*calls % 2 == 1 ? refused("communication", 503) : Answer{.result = http_ok(), .fault = {}}; });
    CHECK(ran.phase == Phase::completed);
    CHECK(ran.requests.size() == 4);
}

TEST_CASE("delays, limits and jitter may be expressions on the try's input, also in a shared policy", "[workflows][rules]")
{
    const auto run = [](const std::string& use, const std::string& retry) {
        return run_flow(use + "do: [ { t: { try: [ { g: " + get() + " } ], catch: { retry: " + retry + " } } } ]", json(R"({"n":7})"), flaky(1)).took.count();
    };
    const std::string policy = "{ delay: { seconds: '${ .n }' }, jitter: { from: { seconds: '${ .n }' }, to: '${ {seconds: .n} }' }, limit: { attempt: { count: 1 } } }";
    CHECK(run("", policy) == 14'000);
    CHECK(run("use: { retries: { mine: " + policy + " } }\n", "mine") == 14'000);
    const Ran wrong = run_flow(guarded("retry: { delay: '${ \"soon\" }' }"), {}, flaky(1));
    CHECK(kind_of(wrong.fault) == "expression");
    CHECK(wrong.fault.instance == "/do/0/t");
}

TEST_CASE("the handler runs once, after the last retry, with the try's transformed input", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { t: { input: { from: '{x: .n}' }, try: [ { g: " + get() + " } ], catch: { retry: { delay: PT1S, limit: { attempt: { count: 2 } } }, do: [ { h: { set: '${ [., $error.status] }' } } ] } } } ]",
                             json(R"({"n":1})"), flaky(9));
    CHECK(ran.words() == R"([{"x":1},503])");
    CHECK(ran.count("h", "completed") == 1);
    CHECK(ran.took == Milliseconds(2'000));
}

TEST_CASE("a handler's fault is never tried again by its own try, but by one around it", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { o: { try: [ { t: { try: [ { g: " + get() + " } ], catch: { retry: { limit: { attempt: { count: 1 } } }, do: [ { h: { raise: { error: { type: t, status: 418 } } } } ] } } } ],"
                             " catch: { retry: { limit: { attempt: { count: 2 } } } } } } ]", {}, flaky(99));
    CHECK(ran.fault.status == 418);
    CHECK(ran.requests.size() == 3 * 2);
    CHECK(ran.count("h", "faulted") == 3);
}

TEST_CASE("retries within branches are counted for each branch", "[workflows][rules]")
{
    const std::string branch = "{ try: [ { g: " + get() + " } ], catch: { retry: { delay: PT1S, limit: { attempt: { count: 2 } } }, do: [ { h: { set: { gave: up } } } ] } }";
    const Ran both = run_flow("do: [ { f: { fork: { branches: [ { a: " + branch + " }, { b: " + branch + " } ] } } } ]", {}, flaky(99));
    CHECK(both.words() == R"([{"gave":"up"},{"gave":"up"}])");
    CHECK(both.requests.size() == 6);
    CHECK(both.took == Milliseconds(2'000));
}

TEST_CASE("while it waits for the next attempt a try can be cancelled and timed out", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { o: { try: [ { t: { timeout: { after: PT3S }, try: [ { g: " + get() + " } ], catch: { retry: { delay: PT10S } } } } ], catch: { do: [ { h: { set: '${ $error.status }' } } ] } } } ]", {}, flaky(9));
    CHECK(ran.words() == "408");
    CHECK(ran.took == Milliseconds(3'000));
    CHECK(ran.requests.size() == 1);
}

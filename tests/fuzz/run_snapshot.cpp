// What was kept of a run that waits for people, damaged or of another program: lines of POINTER VALUE put into a good one. It is refused with
// words, or it goes on: kept again it is the same, and to its end it neither hangs nor falls.
#include <charconv>
#include <cstdint>
#include <string_view>

#include "tests/support/workflow_run.h"

using namespace mill;

namespace {

struct Kept {
    std::shared_ptr<workflows::Package> package;
    Json snapshot;
};

workflows::RunOptions options_of(Json snapshot = {})
{
    workflows::RunOptions out;
    out.run_id = "run-1";
    out.input = *parse_json(R"({"list":[1,2,3]})");
    out.snapshot = std::move(snapshot);
    out.max_steps = 5000;
    return out;
}

Kept kept(const std::string& body, std::map<std::string, std::string> more = {})
{
    Kept out{testing::lone(body, std::move(more)), {}};
    check(out.package->valid(), testing::findings(*out.package));
    auto run = workflows::make_interpreter(out.package, options_of());
    check(run.has_value(), "the run begins");
    const FakeClock clock;
    for (int turn = 0; turn < 100 && (*run)->phase() != workflows::Phase::waiting; ++turn) {
        (*run)->advance(clock.now(), clock.steady());
        for (const auto& request : (*run)->take_requests())
            if (request.effect != "ask") (*run)->complete(request.id, Json());
    }
    auto snapshot = (*run)->snapshot();
    check(snapshot.has_value(), "it waits for people alone");
    out.snapshot = std::move(*snapshot);
    return out;
}

/// Runs that stand in every kind of frame.
const std::vector<Kept>& all_kept()
{
    static const std::string ask = "call: ask.user, with: { within: 1h, text: ";
    static const std::string child = "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\ndo: [ { q: { " + ask + "beside } } }, { s: { set: { a: '${ . }' } } } ]\n";
    static const std::vector<Kept> out{
        kept("do: [ { f: { for: { each: x, in: '${ .list }', at: i }, do: [ { q: { " + ask + "'${ \"q\\($x)\" }' }, export: { as: '${ ($context // {}) + {(\"k\\($i)\"): .} }' } } } ] } }, { e: { set: { all: '${ $context }' } } } ]"),
        kept("do: [ { t: { try: [ { q: { " + ask + "again } } }, { x: { if: '${ . != 3 }', raise: { error: { type: https://x.test/e, status: 503 } } } } ], catch: { as: err, retry: { delay: { seconds: 1 }, limit: { attempt: { count: 3 } } } } } } ]"),
        kept("do: [ { t: { try: [ { x: { raise: { error: { type: https://x.test/e, status: 418 } } } } ], catch: { as: err, do: [ { r: { " + ask + "'${ \"\\($err.status)\" }' } } } ] } } } ]"),
        kept("do: [ { k: { fork: { branches: [ { a: { " + ask + "left } } }, { b: { do: [ { c: { " + ask + "right } } }, { d: { set: { n: 1 } } } ] } } ] } } }, { e: { set: { all: '${ . }' } } } ]"),
        kept("do: [ { k: { fork: { compete: true, branches: [ { a: { " + ask + "left } } }, { b: { " + ask + "right } } } ] } } } ]"),
        kept("use: { functions: { f: { do: [ { q: { " + ask + "'${ .n }' } } } ] } } }\ndo: [ { one: { call: f, with: { n: first } } } ]"),
        kept("do: [ { r: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } } }, { e: { set: { r: '${ . }' } } } ]", {{"child.yaml", child}}),
        kept("do: [ { r: { run: { workflow: { namespace: test, name: child, version: 1.0.0 }, await: false } } }, { q: { " + ask + "main } } } ]", {{"child.yaml", child}}),
        kept("do: [ { d: { do: [ { q: { " + ask + "slow } } } ], timeout: { after: { hours: 2 } } } } ]"),
    };
    return out;
}

Json put(const Json& into, std::string_view pointer, Json value)
{
    if (pointer.empty() || pointer.front() != '/') return value;
    const std::size_t end = std::min(pointer.find('/', 1), pointer.size());
    const std::string_view key = pointer.substr(1, end - 1), rest = pointer.substr(end);
    Json out = into;
    if (!into.is_array()) return out.set(key, put(into[key], rest, std::move(value)));
    std::size_t index = into.size();
    std::from_chars(key.data(), key.data() + key.size(), index);
    if (index >= into.size()) return out.push(std::move(value));
    out.mutable_array()[index] = put(into[index], rest, std::move(value));
    return out;
}

/// Answers what it waits for until it ends; it was restored, so it need not be a run that ends well.
void go_on(workflows::Interpreter& run)
{
    FakeClock clock;
    for (int turn = 0; turn < 200; ++turn) {
        run.advance(clock.now(), clock.steady());
        (void)run.take_changes();
        (void)run.take_cancellations();
        (void)run.take_cloud_events();
        const auto requests = run.take_requests();
        for (const auto& request : requests) run.complete(request.id, request.effect == "ask" ? Json::object({{"state", "answered"}, {"answer", 3}}) : Json());
        const auto phase = run.phase();
        if (phase == workflows::Phase::faulted) check(!run.fault().type.empty(), "a fault has a type");
        if (phase == workflows::Phase::completed || phase == workflows::Phase::faulted || phase == workflows::Phase::cancelled) return;
        // The questions of before: their effects are numbered from 1 on.
        if (requests.empty())
            for (std::uint64_t id = 1; id < 20; ++id) run.complete(id, Json::object({{"state", "answered"}, {"answer", 3}}));
        clock.advance(std::chrono::minutes(turn));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0 || size > 4096) return 0;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto& all = all_kept();
    const Kept& one = all[static_cast<std::size_t>(text.front()) % all.size()];
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    Json snapshot = one.snapshot;
    const bool whole = text.empty();
    for (int lines = 0; !text.empty() && lines < 20; ++lines) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const std::size_t space = std::min(line.find(' '), line.size());
        if (const auto value = parse_json(line.substr(std::min(space + 1, line.size())))) snapshot = put(snapshot, line.substr(0, space), *value);
    }
    auto run = workflows::make_interpreter(one.package, options_of(snapshot));
    if (!run) {
        check(!whole && !run.error().what.empty(), "a good one is taken; another is refused with words");
        return 0;
    }
    const auto again = (*run)->snapshot();
    check(again.has_value(), again ? "" : again.error().what);
    if (whole) check(*again == one.snapshot, "kept again it is the same");
    auto second = workflows::make_interpreter(one.package, options_of(*parse_json(dump_json(*again))));
    check(second.has_value(), second ? "" : second.error().what);
    const auto third = (*second)->snapshot();
    check(third && dump_json(*third) == dump_json(*again), "kept a third time it is the same");
    go_on(**run);
    return 0;
}

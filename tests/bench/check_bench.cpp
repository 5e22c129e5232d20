// What `millwright check` costs for a workflow of a thousand tasks: loading (YAML, expressions in jq) and the passes of check, apart.
// Prints one line of JSON each: the median of several rounds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/support/workflow_run.h"
#include "workflows/check/check.h"

namespace {

using namespace mill;
using namespace mill::testing;

/// A mix of tasks as people write them; `jq`: every second `set` has an expression that only jq can compile.
std::string workflow(int tasks, bool jq)
{
    std::string out = "use: { functions: { f: { set: { n: '${ .n }' } } }, secrets: [ erp ] }\ndo:\n";
    for (int i = 0; i < tasks; ++i) {
        switch (i % 10) {
        case 0: out += fmt::format("  - t{}: {{ call: http, with: {{ method: get, endpoint: 'https://h{}.test/x/{{id}}', headers: {{ authorization: '${{ $secrets.erp.token }}', accept: application/json }} }} }}\n", i, i % 7); break;
        case 1: out += fmt::format("  - t{}: {{ call: file.read, with: {{ path: /srv/in/{}.csv, encoding: utf-8 }} }}\n", i, i); break;
        case 2: out += fmt::format("  - t{}: {{ call: file.write, with: {{ path: '${{ .path }}', content: '${{ .content }}', mode: replace }} }}\n", i); break;
        case 3: out += fmt::format("  - t{}: {{ call: f, with: {{ n: {} }} }}\n", i, i); break;
        case 4: out += fmt::format("  - t{}: {{ switch: [ {{ yes: {{ when: '.n > {}', then: continue }} }}, {{ no: {{ then: continue }} }} ] }}\n", i, jq ? i : 5); break;
        case 5: out += fmt::format("  - t{}: {{ set: {{ n: {}, text: 'a line of text', list: [ 1, 2, 3 ] }}, output: {{ schema: {{ document: {{ type: object, required: [ n ], properties: {{ n: {{ type: integer }} }} }} }} }} }}\n", i, i); break;
        case 6: out += fmt::format("  - t{}: {{ try: [ {{ a: {{ call: log, with: {{ text: hello, level: info }} }} }} ], catch: {{ do: [ {{ b: {{ wait: PT1S }} }} ] }} }}\n", i); break;
        case 7: out += fmt::format("  - t{}: {{ for: {{ each: x, in: .all }}, do: [ {{ s: {{ set: {{ x: '${{ $x }}' }} }} }} ] }}\n", i); break;
        case 8: out += fmt::format("  - t{}: {{ set: {{ n: '${{ {} }}' }} }}\n", i, jq ? fmt::format(".n + {}", i) : ".n"); break;
        default: out += fmt::format("  - t{}: {{ call: log, with: {{ text: '${{ \"row \\(.n)\" }}' }}, export: {{ as: '$context + {{r{}: .n}}' }} }}\n", i, jq ? i : 0); break;
        }
    }
    return out;
}

template <class F> double median_ms(int rounds, F&& work)
{
    std::vector<double> took;
    for (int i = 0; i < rounds; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        work();
        took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
    std::sort(took.begin(), took.end());
    return took[took.size() / 2];
}

}  // namespace

int main(int argc, char** argv)
{
    const int tasks = argc > 1 ? std::atoi(argv[1]) : 1000;
    for (const bool jq : {false, true}) {
        const std::string text = workflow(tasks, jq);
        auto package = lone(text);
        if (!package->valid()) {
            std::fputs(findings(*package).c_str(), stderr);
            return 1;
        }
        package->assets["package.yaml"] = "name: flow\nversion: 1.0.0\n";  // so that permissions are compared, too
        package->manifest.asked = *parse_json(R"({"network":["https://h0.test"],"files":{"read":["/srv"]}})");
        const double load = median_ms(5, [&] { (void)lone(text); });
        std::size_t count = 0;
        const double check = median_ms(9, [&] { count = workflows::check(*package).findings.size(); });
        std::printf("{\"bench\":\"check %d tasks%s\",\"loadMs\":%.1f,\"checkMs\":%.1f,\"findings\":%zu}\n", tasks, jq ? ", half of their expressions distinct jq" : "", load, check, count);
        std::fflush(stdout);
    }
    return 0;
}

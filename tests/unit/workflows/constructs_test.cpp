// Every construct of the language: it loads, or it is refused by its name at its line. One row each; a construct that comes to
// the profile changes its row, here and in the published schema.
#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;

namespace {

struct Row {
    const char* name;
    std::string text;     ///< from the second line on; the header is the first
    const char* refused;  ///< what the finding says; nullptr: it loads
    int line = 0;         ///< where the finding stands
};

const std::string kEnd = "do: [ { last: { wait: PT0S } } ]\n";

/// A task whose body begins on line 4.
std::string task(const std::string& body)
{
    std::string out = "do:\n  - it:\n";
    for (std::size_t at = 0; at < body.size();) {
        const auto end = std::min(body.find('\n', at), body.size());
        out += "      " + body.substr(at, end - at) + "\n";
        at = end + 1;
    }
    return out;
}

void hold(const std::vector<Row>& rows)
{
    for (const Row& row : rows) {
        INFO(row.name << "\n" << row.text);
        const auto package = lone(row.text, {{"s.json", "{}"}, {"x.py", "print(1)"},
                                             {"api.json", R"({"openapi":"3.0.0","servers":[{"url":"https://h.test"}],"paths":{"/a":{"get":{"operationId":"getA"}}}})"}});
        const std::string found = findings(*package);
        if (row.refused == nullptr) {
            CHECK(found == "");
            continue;
        }
        CHECK_FALSE(package->valid());
        CHECK_THAT(found, Catch::Contains(row.refused));
        if (row.line > 0) CHECK_THAT(found, Catch::Contains("flow.yaml:" + std::to_string(row.line) + ":"));
    }
}

}  // namespace

TEST_CASE("constructs of the document", "[workflows][constructs]")
{
    hold({
        {"document, all keys", "document: { dsl: 1.0.3, namespace: a, name: b, version: 1.0.0-rc.1, title: t, summary: s, tags: { a: b }, metadata: { x: [ 1 ] } }\n" + kEnd, nullptr},
        {"document, an older dsl", "document: { dsl: 1.0.0-alpha5, namespace: a, name: b, version: 0.1.0 }\n" + kEnd, nullptr},
        {"document, a newer dsl", "document: { dsl: 1.1.0, namespace: a, name: b, version: 1.0.0 }\n" + kEnd, "'1.1.0' is not supported", 1},
        {"input.schema, a document", "input:\n  schema: { format: json, document: { type: object } }\n" + kEnd, nullptr},
        {"input.schema, a resource", "input:\n  schema: { resource: { endpoint: 'package:///s.json' } }\n" + kEnd, nullptr},
        {"input.schema, a resource elsewhere", "input:\n  schema:\n    resource: { endpoint: 'https://h.test/s.json' }\n" + kEnd, "must be a file of the package", 4},
        {"input.schema, another format", "input:\n  schema:\n    format: avro\n    document: {}\n" + kEnd, "'avro' is not supported", 4},
        {"input.from, an expression", "input: { from: .order }\n" + kEnd, nullptr},
        {"input.from, an object", "input: { from: { order: '${ .order }', kind: new } }\n" + kEnd, nullptr},
        {"output.as and schema", "output: { as: '${ . }', schema: { document: { type: object } } }\n" + kEnd, nullptr},
        {"timeout, inline", "timeout: { after: { hours: 1 } }\n" + kEnd, nullptr},
        {"timeout, a name", "timeout: long\nuse: { timeouts: { long: { after: PT1H } } }\n" + kEnd, nullptr},
        {"timeout, a name that is none", "timeout: long\n" + kEnd, "'long' is not declared in use.timeouts", 2},
        {"evaluate, jq and strict", "evaluate: { language: jq, mode: strict }\n" + kEnd, nullptr},
        {"evaluate.mode loose", "evaluate:\n  mode: loose\n" + kEnd, "'loose' is not supported", 3},
        {"evaluate.language", "evaluate:\n  language: js\n" + kEnd, "is jq", 3},
        {"schedule.every", "schedule: { every: { minutes: 5 } }\n" + kEnd, nullptr},
        {"schedule.cron", "schedule: { cron: '0 0 * * *' }\n" + kEnd, nullptr},
        {"schedule.cron, seconds", "schedule:\n  cron: '0 0 0 * * *'\n" + kEnd, "five fields", 3},
        {"schedule.after", "schedule: { after: PT5M }\n" + kEnd, nullptr},
        {"schedule.on", "schedule:\n  on: { one: { with: { type: x } } }\n" + kEnd, "'schedule.on' is not supported", 3},
        {"use, all that there is", "use:\n  authentications: { a: { basic: { username: u, password: '${ $secrets.s.password }' } }, b: { bearer: { token: '${ .t }' } }, c: { bearer: { use: s } }, d: { basic: { use: s } } }\n"
                                   "  errors: { e: { type: 'https://h.test/e', status: 400, title: t, detail: '${ .d }', instance: /x } }\n  functions: { f: { set: { n: 1 } } }\n"
                                   "  retries: { r: { delay: PT1S } }\n  secrets: [ s ]\n  timeouts: { t: { after: PT1S } }\n" + kEnd, nullptr},
        {"use.catalogs", "use:\n  catalogs: { c: { endpoint: { uri: 'https://h.test' } } }\n" + kEnd, "'use.catalogs' is not supported", 3},
        {"use.extensions", "use:\n  extensions: [ { x: { extend: call, before: [ { y: { set: { n: 1 } } } ] } } ]\n" + kEnd, "'use.extensions' is not supported", 3},
        {"an unknown key", "usse: {}\n" + kEnd, "did you mean 'use'", 2},
    });
}

TEST_CASE("constructs of every task", "[workflows][constructs]")
{
    hold({
        {"if", task("if: .a == 1\nset: { n: 1 }"), nullptr},
        {"if, with braces", task("if: '${ .a }'\nset: { n: 1 }"), nullptr},
        {"input", task("input: { schema: { document: {} }, from: .a }\nset: { n: 1 }"), nullptr},
        {"output", task("output: { as: '${ .n }', schema: { document: {} } }\nset: { n: 1 }"), nullptr},
        {"export", task("export: { as: '$context + {n: .}', schema: { document: {} } }\nset: { n: 1 }"), nullptr},
        {"timeout", task("timeout: { after: PT1M }\nset: { n: 1 }"), nullptr},
        {"timeout, an expression", task("timeout: { after: '${ .limit }' }\nset: { n: 1 }"), nullptr},
        {"then: continue", task("set: { n: 1 }\nthen: continue"), nullptr},
        {"then: exit", task("set: { n: 1 }\nthen: exit"), nullptr},
        {"then: end", task("set: { n: 1 }\nthen: end"), nullptr},
        {"then: a task", task("set: { n: 1 }\nthen: it"), nullptr},
        {"then: no task", task("set: { n: 1 }\nthen: that"), "'then' names 'that'", 5},
        {"metadata", task("metadata: { any: [ thing ] }\nset: { n: 1 }"), nullptr},
        {"an unknown key", task("set: { n: 1 }\nexports: {}"), "did you mean 'export'", 5},
        {"duration, in units", task("wait: { days: 1, hours: 1, minutes: 1, seconds: 1, milliseconds: 1 }"), nullptr},
        {"duration, ISO 8601", task("wait: P1DT2H3M4.5S"), nullptr},
        {"duration, months", task("wait: P1M"), "P1M", 4},
        {"duration, an expression", task("wait: '${ .pause }'"), nullptr},
    });
}

TEST_CASE("constructs of calls", "[workflows][constructs]")
{
    const auto http = [](const std::string& more) { return task("call: http\nwith:\n  method: get\n  endpoint: https://h.test/{id}\n  " + more); };
    const auto login = [](const std::string& how) { return task("call: http\nwith:\n  method: get\n  endpoint:\n    uri: https://h.test\n    authentication:\n      " + how); };
    hold({
        {"http", task("call: http\nwith: { method: get, endpoint: 'https://h.test/x' }"), nullptr},
        {"http, the address an expression", task("call: http\nwith: { method: GET, endpoint: '${ .url }' }"), nullptr},
        {"http, the address with uri", task("call: http\nwith: { method: put, endpoint: { uri: 'https://h.test/{id}' } }"), nullptr},
        {"http, headers and query", http("headers: { accept: application/json, x: '${ .x }' }\n  query: { q: '${ .q }', n: 5 }"), nullptr},
        {"http, headers and query as expressions", http("headers: '${ .h }'\n  query: '${ .q }'"), nullptr},
        {"http, body", http("body: { a: '${ .a }', b: [ 1, '${ .b }' ] }"), nullptr},
        {"http, output raw", http("output: raw"), nullptr},
        {"http, output content", http("output: content"), nullptr},
        {"http, output response", http("output: response"), nullptr},
        {"http, redirect", http("redirect: true"), nullptr},
        {"http, an unknown argument", http("timeout: 5"), "'call: http' has no 'timeout'", 8},
        {"authentication: use", "use: { authentications: { a: { bearer: { token: x } } } }\n" + login("use: a"), nullptr},
        {"authentication: a secret", "use: { secrets: [ s ] }\n" + login("use: s"), nullptr},
        {"authentication: basic", login("basic: { username: u, password: '${ .p }' }"), nullptr},
        {"authentication: basic by secret", "use: { secrets: [ s ] }\n" + login("basic: { use: s }"), nullptr},
        {"authentication: bearer", login("bearer: { token: '${ .t }' }"), nullptr},
        {"authentication: bearer by secret", "use: { secrets: [ s ] }\n" + login("bearer: { use: s }"), nullptr},
        {"authentication: digest", login("digest: { username: u, password: '${ .p }' }"), nullptr},
        {"authentication: oauth2", login("oauth2: { authority: 'https://h.test', grant: client_credentials, client: { id: c, secret: '${ .s }', authentication: client_secret_basic }, endpoints: { token: /token }, scopes: [ a ], audiences: [ b ], issuers: [ c ], request: { encoding: application/json } }"), nullptr},
        {"authentication: oauth2, grant password", login("oauth2: { authority: 'https://h.test', grant: password, username: u, password: '${ .p }' }"), nullptr},
        {"authentication: oauth2, a refresh token", login("oauth2: { authority: 'https://h.test', grant: refresh_token, subject: { token: '${ .r }' } }"), nullptr},
        {"authentication: oauth2, token exchange", login("oauth2: { authority: 'https://h.test', grant: 'urn:ietf:params:oauth:grant-type:token-exchange', subject: { token: t } }"), "is not supported", 10},
        {"authentication: oauth2, an actor", login("oauth2: { authority: 'https://h.test', grant: client_credentials, client: { id: c }, actor: { token: t, type: x } }"), "'actor' is of the token exchange", 10},
        {"authentication: oidc", login("oidc: { authority: 'https://h.test', grant: client_credentials, client: { id: c, secret: '${ .s }' } }"), nullptr},
        {"authentication: oidc, endpoints", login("oidc: { authority: 'https://h.test', grant: client_credentials, client: { id: c }, endpoints: { token: /t } }"), "'oidc' has no 'endpoints'", 10},
        {"authentication: oauth2 by secret", "use: { secrets: [ s ] }\n" + login("oauth2: { use: s }"), nullptr},
        {"authentication: certificate", login("certificate: {}"), "'certificate' is not supported", 10},
        {"authentication by no secret", login("bearer: { use: s }"), "'s' is not declared in use.secrets", 10},
        {"openapi, of the package", task("call: openapi\nwith: { document: { endpoint: 'package:///api.json' }, operationId: getA, parameters: { a: '${ .a }' }, output: response, redirect: true }"), nullptr},
        {"openapi, fetched", task("call: openapi\nwith: { document: { endpoint: { uri: 'https://h.test/api.json' }, name: api }, operationId: getA, authentication: { bearer: { token: x } } }"), nullptr},
        {"openapi, no such operation", task("call: openapi\nwith:\n  document: { endpoint: 'package:///api.json' }\n  operationId: getB"), "did you mean 'getA'", 7},
        {"grpc", task("call: grpc\nwith: { proto: { endpoint: 'https://h.test/x.proto' } }"), "'call: grpc' is not supported", 4},
        {"asyncapi", task("call: asyncapi\nwith: { document: { endpoint: 'https://h.test/x.yaml' } }"), "'call: asyncapi' is not supported", 4},
        {"a2a", task("call: a2a\nwith: { method: message/send }"), "'call: a2a' is not supported", 4},
        {"mcp", task("call: mcp\nwith: { method: tools/call }"), "'call: mcp' is not supported", 4},
        {"a function", "use: { functions: { f: { set: { n: '${ .n }' } } } }\n" + task("call: f\nwith: { n: 1 }"), nullptr},
        {"a function without with", "use: { functions: { f: { set: { n: 1 } } } }\n" + task("call: f"), nullptr},
        {"a function, with an expression", "use: { functions: { f: { set: { n: 1 } } } }\n" + task("call: f\nwith: '${ .all }'"), nullptr},
        {"a function by URL", task("call: https://h.test/f.yaml"), "not fetched by URL", 4},
        {"a function of another catalog", task("call: f:1.0.0@elsewhere"), "the catalog 'elsewhere' is not supported", 4},
        {"an activity", task("call: log\nwith: { text: hello, level: info }"), nullptr},
        {"an activity of the default catalog", task("call: log:1.0.0@default\nwith: { text: hello }"), nullptr},
        {"no activity", task("call: lgo\nwith: { text: hello }"), "did you mean 'log'", 4},
    });
}

TEST_CASE("constructs of the other tasks", "[workflows][constructs]")
{
    hold({
        {"do", task("do: [ { a: { do: [ { b: { set: { n: 1 } } } ] } } ]"), nullptr},
        {"emit", task("emit:\n  event:\n    with: { id: x, source: 'https://h.test', type: a.b, time: '${ .t }', subject: s, datacontenttype: application/json, dataschema: 'https://h.test/s', data: { a: '${ .a }' }, extra: 1 }"), nullptr},
        {"emit without type", task("emit:\n  event:\n    with: { source: 'https://h.test' }"), "needs 'type'", 6},
        {"for", task("for: { each: x, in: .all, at: i }\nwhile: $i < 5\ndo: [ { a: { set: { n: '${ $x }' } } } ]"), nullptr},
        {"for, an array", task("for: { in: [ 1, 2 ] }\ndo: [ { a: { set: { n: '${ $item + $index }' } } } ]"), nullptr},
        {"fork", task("fork:\n  branches: [ { a: { set: { n: 1 } } }, { b: { set: { n: 2 } } } ]"), nullptr},
        {"fork, compete", task("fork:\n  compete: true\n  branches: [ { a: { set: { n: 1 } } }, { b: { wait: PT1S } } ]"), nullptr},
        {"listen to one", task("listen:\n  to: { one: { with: { type: x } } }"), "'listen' is not supported", 4},
        {"listen to any, until", task("listen:\n  to: { any: [ { with: { type: x } } ], until: .done }\nforeach: { item: e, do: [] }"), "'listen' is not supported", 4},
        {"listen to all, read", task("listen:\n  to: { all: [ { with: { type: x }, correlate: { a: { from: .a } } } ] }\n  read: envelope"), "'listen' is not supported", 4},
        {"raise, inline", task("raise:\n  error: { type: 'https://h.test/e', status: 400, title: '${ .t }', detail: d }"), nullptr},
        {"raise, a name", "use: { errors: { e: { type: x, status: 400 } } }\n" + task("raise: { error: e }"), nullptr},
        {"raise, no name", task("raise:\n  error: e"), "'e' is not declared in use.errors", 5},
        {"run: container", task("run:\n  container: { image: x }"), "'run.container' is not supported", 5},
        {"run: script, python", task("run:\n  script: { language: python, code: print(1), arguments: [ a ], environment: { A: '${ .a }' }, stdin: '${ .in }' }\n  return: all"), nullptr},
        {"run: script, js", task("run:\n  script: { language: js, code: 'console.log(1)', arguments: { a: 1 } }"), nullptr},
        {"run: script, source", task("run:\n  script: { language: python, source: { endpoint: 'package:///x.py' } }"), nullptr},
        {"run: script, source elsewhere", task("run:\n  script:\n    language: python\n    source: { endpoint: 'https://h.test/x.py' }"), "must be a file of the package", 7},
        {"run: script, another language", task("run:\n  script:\n    language: ruby\n    code: x"), "'ruby' is not supported", 6},
        {"run: shell", task("run:\n  shell: { command: 'cat; echo $1', arguments: [ a, '${ .b }' ], environment: { A: b }, stdin: '${ . }' }\n  return: code"), nullptr},
        {"run: workflow", task("run:\n  workflow: { namespace: test, name: flow, version: 1.0.0, input: { a: '${ .a }' } }"), nullptr},
        {"run: await false", task("run:\n  shell: { command: ls }\n  await: false"), nullptr},
        {"run: return stderr", task("run:\n  shell: { command: ls }\n  return: stderr"), nullptr},
        {"run: return none", task("run:\n  shell: { command: ls }\n  return: none"), nullptr},
        {"set, an object", task("set: { a: 1, b: '${ .b }', c: { d: [ '${ .e }' ] } }"), nullptr},
        {"set, an expression", task("set: '${ . + {a: 1} }'"), nullptr},
        {"set, a text", task("set: .a"), "needs an expression", 4},
        {"switch", task("switch: [ { a: { when: .a, then: exit } }, { b: { when: .b, then: continue } }, { c: { then: end } } ]"), nullptr},
        {"switch, then nowhere", task("switch:\n  - a: { when: .a, then: gone }"), "'then' names 'gone'", 5},
        {"try, everything", task("try: [ { a: { wait: PT0S } } ]\ncatch:\n  errors: { with: { type: x, status: 404, instance: /do/0/a, title: t, detail: d } }\n  as: problem\n  when: $problem.status == 404\n"
                                 "  exceptWhen: $problem.title == \"x\"\n  do: [ { b: { set: { p: '${ $problem }' } } } ]\n  then: exit"), nullptr},
        {"try, details", task("try: [ { a: { wait: PT0S } } ]\ncatch: { errors: { with: { details: d } } }"), nullptr},
        {"retry, everything", task("try: [ { a: { wait: PT0S } } ]\ncatch:\n  retry: { when: .a, exceptWhen: .b, delay: { seconds: 1 }, backoff: { exponential: {} }, limit: { attempt: { count: 3, duration: PT1M }, duration: PT1H }, jitter: { from: PT0S, to: PT1S } }"), nullptr},
        {"retry, constant", task("try: [ { a: { wait: PT0S } } ]\ncatch: { retry: { backoff: { constant: {} } } }"), nullptr},
        {"retry, linear", task("try: [ { a: { wait: PT0S } } ]\ncatch: { retry: { backoff: { linear: {} } } }"), nullptr},
        {"retry, a name", "use: { retries: { r: { delay: PT1S } } }\n" + task("try: [ { a: { wait: PT0S } } ]\ncatch: { retry: r }"), nullptr},
        {"retry, no name", task("try: [ { a: { wait: PT0S } } ]\ncatch:\n  retry: r"), "'r' is not declared in use.retries", 6},
        {"catch on a task that is no try", task("set: { n: 1 }\ncatch: {}"), "has no 'catch'", 5},
        {"wait", task("wait: { seconds: 5 }"), nullptr},
        {"two kinds in one", task("set: { n: 1 }\nwait: PT1S"), "has no 'wait'", 5},
    });
}

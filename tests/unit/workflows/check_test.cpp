#include <catch2/catch.hpp>

#include "tests/support/package_folder.h"
#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;

namespace {

const std::string kHead = "document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\n";

/// Of a lone workflow.
std::string words(const std::string& body) { return all_findings(*lone(body)); }

/// Of a package: `more` is package.yaml from its third line on, `flow` its workflow from its second.
std::string of_package(const std::string& more, const std::string& flow, const std::map<std::string, std::string>& files = {})
{
    PackageFolder folder;
    folder.file("package.yaml", "name: flow\nversion: 1.0.0\n" + more).file("workflow.yaml", kHead + flow);
    for (const auto& [name, text] : files) folder.file(name, text);
    const auto package = workflows::load_package(folder.path());
    REQUIRE(package);
    return all_findings(*package);
}

using Catch::Contains;

}  // namespace

TEST_CASE("a task that no run comes to is named once, where it stands", "[workflows][check]")
{
    CHECK(words("do:\n  - a: { set: { n: 1 }, then: end }\n  - b: { set: { n: 2 } }\n  - c: { set: { n: 3 } }\n") ==
          "flow.yaml:4:5: warning: task 'b' is never reached: no 'then' leads here, and the task before it goes elsewhere [unreachable]\n");
    CHECK_THAT(words("do: [ { a: { raise: { error: { type: x, status: 500 } } } }, { b: { wait: PT1S } } ]"), Contains("'b' is never reached"));
    CHECK_THAT(words("do: [ { a: { do: [ { in: { wait: PT1S, then: end } } ] } }, { b: { wait: PT1S } } ]"), Contains("'b' is never reached"));
    CHECK_THAT(words("do: [ { s: { switch: [ { one: { when: .a, then: b } }, { else: { then: end } } ] } }, { c: { wait: PT1S } }, { b: { wait: PT1S } } ]"), Contains("'c' is never reached"));
    CHECK_THAT(words("do: [ { o: { for: { in: .a }, do: [ { x: { wait: PT1S, then: exit } }, { y: { wait: PT1S } } ] } } ]"), Contains("'y' is never reached"));
    CHECK_THAT(words("use: { functions: { f: { do: [ { x: { wait: PT1S, then: end } }, { y: { wait: PT1S } } ] } } }\ndo: [ { a: { call: f } } ]"), Contains("'y' is never reached"));
    CHECK_THAT(words("do: [ { t: { try: [ { x: { raise: { error: { type: x, status: 500 } } } } ], catch: { do: [ { y: { wait: PT1S, then: end } } ] } } }, { z: { wait: PT1S } } ]"), Contains("'z' is never reached"));
}

TEST_CASE("a task that some run comes to is not called unreachable", "[workflows][check]")
{
    for (const char* fine : {"do: [ { a: { if: .x, wait: PT1S, then: end } }, { b: { wait: PT1S } } ]",  // skipped
                             "do: [ { a: { wait: PT1S, then: c } }, { b: { wait: PT1S, then: end } }, { c: { wait: PT1S, then: b } } ]",
                             "do: [ { s: { switch: [ { one: { when: .a, then: b } } ] } }, { c: { wait: PT1S, then: end } }, { b: { wait: PT1S } } ]",
                             "do: [ { t: { try: [ { x: { raise: { error: { type: x, status: 500 } } } } ], catch: {} } }, { z: { wait: PT1S } } ]",
                             "do: [ { a: { do: [ { in: { wait: PT1S, then: exit } } ] } }, { b: { wait: PT1S } } ]",
                             "do: [ { f: { fork: { compete: true, branches: [ { a: { raise: { error: { type: x, status: 500 } } } }, { b: { wait: PT1S } } ] } } }, { z: { wait: PT1S } } ]",
                             "do: [ { l: { for: { in: .a }, do: [ { x: { raise: { error: { type: x, status: 500 } } } } ] } }, { z: { wait: PT1S } } ]"}) {
        INFO(fine);
        CHECK(words(fine) == "");
    }
}

TEST_CASE("a case's block that runs on into another case's block draws a warning; saying so does not", "[workflows][check]")
{
    const auto flow = [](const std::string& behind_late) {
        return "do:\n  - s: { switch: [ { late: { when: .late, then: late } }, { other: { then: fine } } ] }\n"
               "  - late: { set: { r: late }" + behind_late + " }\n  - fine: { set: { r: fine } }\n";
    };
    CHECK_THAT(words(flow("")), Contains("flow.yaml:5:5: warning: task 'fine' is a target of the switch 's', but is also reached by falling through from 'late'") && Contains("[fall-through]"));
    CHECK(words(flow(", then: end")) == "");
    CHECK(words(flow(", then: fine")) == "");
    CHECK(words(flow(", then: continue")) == "");
    // A case that skips ahead: what lies between is no case's block.
    CHECK(words("do: [ { s: { switch: [ { done: { when: .done, then: last } } ] } }, { work: { wait: PT1S } }, { last: { wait: PT1S } } ]") == "");
}

TEST_CASE("'then' to nowhere, unknown activities, arguments and names: place, nearest name, code", "[workflows][check]")
{
    CHECK_THAT(words("do:\n  - a:\n      set: { n: 1 }\n      then: secnd\n  - second: { wait: PT1S }\n"), Contains("flow.yaml:5:7: 'then' names 'secnd'") && Contains("did you mean 'second'?") && Contains("[then]"));
    CHECK_THAT(words("do: [ { a: { call: file.raed, with: { path: x } } } ]"), Contains("did you mean 'file.read'?") && Contains("[unknown-call]"));
    CHECK_THAT(words("do:\n  - a:\n      call: file.read\n      with:\n        path: x\n        encodin: utf-8\n"), Contains("flow.yaml:7:9: 'file.read' has no argument 'encodin'; did you mean 'encoding'? [argument]"));
    CHECK_THAT(words("do:\n  - a:\n      call: file.write\n      with:\n        path: 5\n        content: '${ .x }'\n"), Contains("flow.yaml:6:9: the argument 'path' of 'file.write' is wrong") && Contains("string") && Contains("[argument]"));
    CHECK_THAT(words("do: [ { a: { call: file.write, with: { path: x, content: y, mode: apend } } } ]"), Contains("'apend' is none of create, replace, append; did you mean 'append'?"));
    CHECK_THAT(words("do: [ { a: { call: file.write, with: { content: '${ .x }' } } } ]"), Contains("'file.write' needs the argument 'path' [argument]"));
    CHECK_THAT(words("do: [ { a: { call: system.usage, with: { disks: [ '${ .a }', 5 ] } } } ]"), Contains("the argument 'disks' of 'system.usage' is wrong"));
    CHECK(words("do: [ { a: { call: system.usage, with: { disks: [ '${ .a }', / ] } } } ]") == "");
    CHECK(words("do: [ { a: { call: progress, with: { percent: '${ .p }' } } } ]") == "");
    CHECK(words("do: [ { a: { call: file.read, with: '${ .all }' } } ]") == "");
    CHECK_THAT(words("do: [ { a: { raise: { error: gone } } } ]"), Contains("[undeclared]"));
    CHECK_THAT(words("do: [ { a: { listen: {} } } ]"), Contains("[unsupported]"));
}

TEST_CASE("a task may be called like a directive, which then means the directive, and check says so", "[workflows][check]")
{
    CHECK_THAT(words("do:\n  - end:\n      set: { n: 1 }\n"), Contains("flow.yaml:3:5: warning: no 'then' can name this task: 'then: end' is a flow directive [directive-name]"));
}

TEST_CASE("expressions that do not compile stand at their place inside the document", "[workflows][check]")
{
    CHECK_THAT(words("do:\n  - a:\n      set:\n        n: '${ .x + $nope }'\n"), Contains("flow.yaml:5:21: expression '.x + $nope': $nope is not defined here") && Contains("[expression]"));
    CHECK_THAT(words("do:\n  - a:\n      set: >-\n        ${ .a\n           | map(.b\n           | length }\n"), Contains("is not closed"));
    CHECK_THAT(words("do:\n  - a:\n      set: >-\n        ${ .a\n           | mapp(.b) }\n"), Contains("flow.yaml:6:14: expression") && Contains("mapp/1 is not defined"));
    CHECK_THAT(words("do:\n  - a:\n      if: .x ==\n      wait: PT1S\n"), Contains("flow.yaml:4:11: expression '.x =='"));
    CHECK_THAT(words("do:\n  - a: { set: { n: '${ if .x then 1 end }' } }\n"), Contains("flow.yaml:3:24: expression") && Contains("else . end") && Contains("[if-without-else]"));
    CHECK_THAT(words("do: [ { a: { set: { n: '${ [ .a[] | if .x then (if .y then 1 else 2 end) end ] }' } } } ]"), Contains("[if-without-else]"));
    CHECK(words("do: [ { a: { set: { n: '${ if .x then 1 elif .y then 2 else 3 end | { if: 1, end: .end }  }' } } } ]") == "");
    CHECK_THAT(words("do: [ { a: { set: { n: 'Hello ${ .who }!' } } } ]"), Contains(R"~(write '${ "Hello \(.who)!" }')~") && Contains("[interpolation]"));
    CHECK_THAT(words("do: [ { a: { set: { n: \"say \\\"${ {a: .x}.a }\\\",\\n${.y}\" } } } ]"), Contains(R"~(write '${ "say \"\({a: .x}.a)\",\n\(.y)" }')~"));
    CHECK_THAT(words("do: [ { a: { set: { n: \"don't ${ .x }\" } } } ]"), Contains(R"~(write '${ "don''t \(.x)" }')~"));
    CHECK_THAT(words("do: [ { a: { set: { n: 'open ${ .x' } } } ]"), Contains(R"~(write '${ "text \(.x) text" }')~"));
    CHECK_THAT(words("do: [ { a: { run: { shell: { command: 'echo \"${ .x }\"' } } } } ]"), Contains(R"~(write '${ "echo \"\(.x)\"" }')~"));
    CHECK_THAT(words("do: [ { a: { run: { shell: { command: 'echo ${HOME} ${x:-y} ${#z} $${a}' } } } } ]"), !Contains("[interpolation]"));
    for (const char* key : {"arguments: { a: 'to ${ .x }' }", "arguments: ['${ .y }', 'to ${ .x }']", "environment: { A: 'to ${ .x }' }", "stdin: 'to ${ .x }'"}) {
        INFO(key);
        CHECK_THAT(words(fmt::format("do: [ {{ a: {{ run: {{ shell: {{ command: cat, {} }} }} }} }} ]", key)), Contains(R"~(write '${ "to \(.x)" }')~") && Contains("[interpolation]"));
        CHECK_THAT(words(fmt::format("do: [ {{ a: {{ run: {{ script: {{ language: python, code: 'pass', {} }} }} }} }} ]", key)), Contains("[interpolation]"));
    }
}

TEST_CASE("a path or argument without braces in data is a text, and check says so", "[workflows][check]")
{
    CHECK_THAT(words("do:\n  - a:\n      set:\n        customer: .customer\n"), Contains("flow.yaml:5:9: warning: '.customer' is a text here; '${ .customer }' is the expression [bare-expression]"));
    CHECK_THAT(words("do: [ { a: { set: { e: $error } } } ]"), Contains("'${ $error }'"));
    CHECK(words("do: [ { a: { set: { suffix: .csv, price: $5, path: ./customer, home: $HOME } } } ]") == "");
}

TEST_CASE("names that are declared and not used are named; those that are used are not", "[workflows][check]")
{
    const std::string used = "use:\n  functions: { f: { do: [ { x: { wait: PT1S, timeout: short } } ] } }\n  errors: { gone: { type: x, status: 404 } }\n  retries: { twice: { limit: { attempt: { count: 2 } } } }\n"
                             "  timeouts: { short: { after: PT1S } }\n  authentications: { login: { basic: { use: erp } } }\n  secrets: [ erp, other ]\n";
    const std::string tasks = "do:\n  - a: { call: f }\n  - b: { try: [ { c: { raise: { error: gone } } } ], catch: { retry: twice } }\n"
                              "  - d: { call: http, with: { method: get, endpoint: { uri: 'https://x.test/', authentication: { use: login } }, headers: { x: '${ $secrets.other.token }' } } }\n";
    CHECK(words(used + tasks) == "");
    const std::string found = words(used + "do: [ { a: { wait: PT1S } } ]");
    for (const char* name : {"the function 'f'", "the error 'gone'", "the retry policy 'twice'", "the authentication 'login'", "the secret 'other'"}) CHECK_THAT(found, Contains(std::string(name) + " is not used [unused]"));
    CHECK_THAT(found, Contains("flow.yaml:3:16: warning: the function 'f'"));
    CHECK_THAT(found, !Contains("'short'") && !Contains("'erp'"));  // f and login use them
}

TEST_CASE("variables of the package: unused, undeclared", "[workflows][check]")
{
    const std::string declared = "variables:\n  url: { type: string }\n  spare: { type: string }\n";
    const std::string found = of_package(declared, "do:\n  - a: { set: { u: '${ $runtime.metadata.variables.url }', v: '${ $runtime.metadata.variables.ulr }' } }\n");
    CHECK_THAT(found, Contains("package.yaml:5:3: warning: the variable 'spare' is not used [unused]"));
    CHECK_THAT(found, Contains("workflow.yaml:3:") && Contains("package.yaml declares no variable 'ulr': it is null; did you mean 'url'? [undeclared-variable]"));
    CHECK_THAT(found, !Contains("'url' is not used"));
    CHECK(of_package(declared, "do: [ { a: { set: '${ $runtime.metadata.variables as $v | $v.url }' } } ]") == "");  // any of them
    CHECK(of_package("variables: { url: { type: string } }\n", "do: [ { a: { set: '${ $runtime.metadata.variables[\"url\"] }' } } ]") == "");
    CHECK(of_package("variables: { dir: { type: string } }\npermissions: { files: { read: [ { variable: dir } ] } }\n", "do: [ { a: { call: file.read, with: { path: '${ .p }' } } } ]") == "");
}

TEST_CASE("a start while the factory is away has no credentials", "[workflows][check]")
{
    const std::string uses = "use: { secrets: [ erp ] }\ndo: [ { a: { call: http, with: { method: get, endpoint: { uri: 'https://h.test', authentication: { basic: { use: erp } } } } } } ]";
    const std::string asks = "credentials: { erp: { kind: login } }\npermissions: { network: [ 'https://h.test' ], credentials: [ erp ] }\n";
    CHECK(of_package(asks, uses) == "");
    CHECK_THAT(of_package(asks + "offline: true\n", uses), Contains("'offline' does nothing where a deployment binds these credentials") && Contains("[offline]"));
    CHECK(of_package("offline: true\n", "do: [ { a: { wait: PT1S } } ]") == "");
    CHECK_THAT(of_package("offline: sometimes\n", "do: [ { a: { wait: PT1S } } ]"), Contains("'offline' is true or false"));
}

TEST_CASE("workflows that package.yaml does not name, and runs of workflows that are not there", "[workflows][check]")
{
    const std::string flow = "do: [ { a: { wait: PT1S } } ]";
    const std::string other = "document: { dsl: 1.0.3, namespace: test, name: other, version: 1.0.0 }\n" + flow;
    CHECK_THAT(of_package("", flow, {{"other.yaml", other}}), Contains("'other.yaml' is a workflow, but package.yaml does not name it"));
    CHECK(of_package("workflow: workflow.yaml\nworkflows: { other: other.yaml }\n", flow, {{"other.yaml", other}, {"data.yaml", "document: x\n"}}) == "");
    CHECK_THAT(of_package("workflow: workflow.yaml\nworkflows: { other: other.yaml }\n", "do: [ { a: { run: { workflow: { namespace: test, name: othr, version: 1.0.0 } } } } ]", {{"other.yaml", other}}),
               Contains("which is neither in the package nor in what it depends on; did you mean 'test/other/1.0.0'? [undeclared]"));
}

TEST_CASE("permissions that tasks use, but the package does not ask for", "[workflows][check]")
{
    const auto http = [](const std::string& endpoint) { return "do:\n  - a:\n      call: http\n      with:\n        method: get\n        endpoint: " + endpoint + "\n"; };
    CHECK(of_package("", http("https://h.test:8443/x/{id}")) ==
          "workflow.yaml:7:9: warning: task 'a' needs network https://h.test:8443, which package.yaml does not ask for in permissions [permission-missing]\n");
    CHECK(of_package("permissions: { network: [ 'https://*.test:8443' ] }\n", http("https://h.test:8443/x")) == "");
    CHECK(of_package("permissions: { network: [ 'h.test:443' ] }\n", http("{ uri: https://h.test }")) == "");
    CHECK_THAT(of_package("permissions: { network: [ 'https://h.test' ] }\n", http("http://h.test/")), Contains("needs network http://h.test,"));
    CHECK_THAT(of_package("", http("'${ .url }'")), Contains("needs permissions.network, but package.yaml asks for none [permission-missing]"));
    CHECK_THAT(of_package("permissions: { network: [ 'https://h.test' ] }\n", http("'${ \"https://other.test/\" + .id }'")), Contains("needs network https://other.test"));
    CHECK(of_package("permissions: { network: [ 'https://h.test' ] }\n", http("'${ \"https://h.test\" + .id }'")) == "");  // h.test.example, perhaps
    CHECK_THAT(of_package("variables: { url: { type: string } }\n", http("'${ $runtime.metadata.variables.url + \"/x\" }'")), Contains("needs network { variable: url }"));
    CHECK(of_package("variables: { url: { type: string } }\npermissions: { network: [ { variable: url } ] }\n", http("'${ $runtime.metadata.variables.url + \"/x\" }'")) == "");

    const std::string login = "use: { authentications: { l: { oauth2: { authority: 'https://login.test', grant: client_credentials, client: { id: c } } } } }\n"
                              "do: [ { a: { call: http, with: { method: get, endpoint: { uri: 'https://h.test', authentication: { use: l } } } } } ]";
    CHECK_THAT(of_package("permissions: { network: [ 'https://h.test' ] }\n", login), Contains("the authentication needs network https://login.test"));
    CHECK(of_package("permissions: { network: [ 'https://h.test', 'https://login.test' ] }\n", login) == "");
    const std::string by_name = "use: { secrets: [ s ] }\ndo: [ { a: { call: http, with: { method: get, endpoint: { uri: 'https://h.test', authentication: { oauth2: { use: s } } } } } } ]";
    CHECK(of_package("credentials: { s: { kind: generic } }\npermissions: { credentials: [ s ], network: [ 'https://h.test', 'https://login.test' ] }\n", by_name) == "");  // the credential may name it

    const auto call = [](const std::string& task) { return "do:\n  - a: { " + task + " }\n"; };
    CHECK_THAT(of_package("", call("call: file.read, with: { path: /srv/in/a.csv }")), Contains("workflow.yaml:3:35: warning: task 'a' needs files.read /srv/in/a.csv"));
    CHECK(of_package("permissions: { files: { read: [ /srv/in ] } }\n", call("call: file.read, with: { path: /srv/in/a.csv }")) == "");
    CHECK(of_package("permissions: { files: { write: [ /srv/in ] } }\n", call("call: file.read, with: { path: /srv/in/a.csv }")) == "");  // writing grants reading
    CHECK(of_package("", call("call: file.write, with: { path: out.txt, content: x }")) == "");  // the job's own folder
    CHECK_THAT(of_package("permissions: { files: { read: [ /srv ] } }\n", call("call: archive.create, with: { source: /srv/a, target: /srv/b.zip }")), Contains("needs files.write /srv/b.zip") && !Contains("files.read /srv/a"));
    CHECK_THAT(of_package("", call("call: system.usage")), Contains("needs system usage"));
    CHECK(of_package("permissions: { system: [ usage ] }\n", call("call: system.usage")) == "");
    CHECK_THAT(of_package("permissions: { commands: [ node ] }\n", call("run: { script: { language: python, code: print(1) } }")), Contains("runs a script by python3") && Contains("[permission-missing]"));
    CHECK_THAT(of_package("permissions: { commands: [ node ] }\n", call("run: { shell: { command: ls } }")), Contains("needs commands sh"));
    CHECK(of_package("permissions: { commands: [ /bin/sh ] }\n", call("run: { shell: { command: ls } }")) == "");
    CHECK_THAT(of_package("", call("run: { shell: { command: ls } }")), Contains("workflow.yaml:3:5: task 'a' runs a shell") && Contains("[permission-missing]"));

    const std::string secret = "use: { secrets: [ erp ] }\ndo: [ { a: { set: { t: '${ $secrets.erp.token }' } } } ]";
    const std::string found = of_package("", secret);
    CHECK_THAT(found, Contains("the secret 'erp' is a credential that package.yaml does not ask for") && Contains("declares no credential 'erp'") && Contains("credentials: { erp: { kind: bearer } }"));
    CHECK(of_package("credentials: { erp: { kind: bearer } }\npermissions: { credentials: [ erp ] }\n", secret) == "");
    CHECK(words(secret) == "");  // a lone workflow has no package.yaml
    CHECK(words(http("https://h.test/")) == "");
}

TEST_CASE("permissions that the package asks for, but no task uses", "[workflows][check]")
{
    const std::string nothing = "do: [ { a: { wait: PT1S } } ]";
    CHECK(of_package("permissions:\n  network: [ 'https://h.test' ]\n", nothing) == "package.yaml:4:14: warning: permissions.network asks for https://h.test, which no task uses [permission-unused]\n");
    for (const char* asked : {"files: { read: [ /srv ] }", "files: { write: [ /srv ] }", "commands: [ sh ]", "system: [ usage ]", "credentials: [ erp ]"})
        CHECK_THAT(of_package(std::string("permissions: { ") + asked + " }\n", nothing), Contains("[permission-unused]"));
    const std::string reads = "do: [ { a: { call: file.read, with: { path: /srv/a/x } } } ]";
    CHECK_THAT(of_package("permissions: { files: { read: [ /srv/a, /srv/b ] } }\n", reads), Contains("asks for /srv/b,") && !Contains("asks for /srv/a,"));
    CHECK(of_package("permissions: { files: { read: [ /srv/a, /srv/b ] } }\n", "do: [ { a: { call: file.read, with: { path: '${ .p }' } } } ]") == "");  // only the run knows
    CHECK(of_package("permissions: { files: { read: [ /srv ] }, commands: [ sh, curl ], network: [ 'https://h.test' ] }\n", "do: [ { a: { run: { shell: { command: 'curl https://h.test' } } } } ]") == "");
    CHECK_THAT(of_package("credentials: { erp: { kind: login } }\n", nothing), Contains("package.yaml:3:16: warning: the credential 'erp' is not used"));
}

TEST_CASE("a choice of a schema may be of any kind, and holds for objects and lists that are written out", "[workflows][check]")
{
    const auto set = [](const std::string& value, const std::string& schema) { return words("do: [ { a: { set: { n: " + value + " }, output: { schema: { document: { properties: { n: " + schema + " } } } } } } ]"); };
    for (const char* choices : {"{ enum: [ a, [ 1, 2 ] ] }", "{ enum: [ { k: 1 }, a ] }", "{ type: array, enum: [ [ 1, 2 ] ] }", "{ type: [ string, array ], enum: [ a, [ 1, 2 ] ] }", "{ type: string, enum: [ a, b ] }"})
        CHECK_THAT(set("[ 1, 3 ]", choices), Contains("[schema-mismatch]"));
    CHECK(set("[ 1, 2 ]", "{ enum: [ a, [ 1, 2 ] ] }") == "");
    CHECK(set("b", "{ type: string, enum: [ a, b ] }") == "");
}

TEST_CASE("values that never fit their schema are errors; what an expression may still mend is none", "[workflows][check]")
{
    const auto set = [](const std::string& value) { return "do:\n  - a:\n      set: " + value + "\n      output: { schema: { document: { type: object, required: [ n ], properties: { n: { type: integer }, o: { type: object, additionalProperties: false, properties: { colour: { type: string } } } } } } }\n"; };
    CHECK(words(set("{ n: 5 }")) == "");
    CHECK(words(set("{ n: '${ .x }' }")) == "");
    CHECK(words(set("'${ .x }'")) == "");
    CHECK_THAT(words(set("{ n: five }")), Contains("flow.yaml:4:14: this never fits the output.schema of the task") && Contains("[schema-mismatch]"));
    CHECK_THAT(words(set("{ m: '${ .x }' }")), Contains("'n' is missing"));
    CHECK_THAT(words(set("{ n: '${ .x }', o: { color: '${ .y }' } }")), Contains("there is no 'color'; did you mean 'colour'?"));
    CHECK_THAT(words(set("{ n: '${ .x }', o: [ '${ .y }' ] }")), Contains("object is expected, not array"));
    CHECK(words("do: [ { a: { set: { n: five }, output: { as: .x, schema: { document: { required: [ y ] } } } } } ]") == "");
    CHECK_THAT(words("do: [ { a: { wait: PT1S, export: { as: { k: '${ .x }' }, schema: { document: { required: [ l ] } } } } } ]"), Contains("export.schema"));
    CHECK_THAT(words("output: { as: { k: 1 }, schema: { document: { required: [ l ] } } }\ndo: [ { a: { wait: PT1S } } ]"), Contains("output.schema of the workflow"));
    CHECK_THAT(words("use: { functions: { f: { wait: PT1S, input: { schema: { document: { required: [ x ] } } } } } }\ndo: [ { a: { call: f, with: { y: 1 } } }, { b: { call: f } } ]"), Contains("input.schema of the function 'f'"));
    CHECK_THAT(words("do: [ { a: { for: { in: '5' }, do: [ { b: { wait: PT1S } } ] } } ]"), Contains("'for.in' must give an array, not number"));
    CHECK_THAT(words("do: [ { a: { call: http, with: { method: get, endpoint: /orders } } } ]"), Contains("'/orders' is no address of a server") && Contains("[endpoint]"));
    for (const char* none : {"https://", "http:///orders", "https://:8443/orders"})
        CHECK_THAT(words(fmt::format("do: [ {{ a: {{ call: http, with: {{ method: get, endpoint: '{}' }} }} }} ]", none)), Contains("it names no host") && Contains("[endpoint]"));
    CHECK_THAT(words("do: [ { a: { call: http, with: { method: get, endpoint: 'https://[::1]:8443/orders' } } } ]"), !Contains("[endpoint]"));
    CHECK(words("do: [ { a: { call: http, with: { method: get, endpoint: '{base}/orders' } } } ]") == "");

    const std::string other = "document: { dsl: 1.0.3, namespace: test, name: other, version: 1.0.0 }\ninput: { schema: { document: { required: [ n ], properties: { n: { $ref: '#/definitions/n' } }, definitions: { n: { type: integer } } } } }\ndo: [ { a: { wait: PT1S } } ]";
    const auto run = [&](const std::string& input) {
        return of_package("workflow: workflow.yaml\nworkflows: { other: other.yaml }\n", "do: [ { a: { run: { workflow: { namespace: test, name: other, version: latest" + input + " } } } } ]", {{"other.yaml", other}});
    };
    CHECK(run(", input: { n: 1 }") == "");
    CHECK(run("") == "");
    CHECK_THAT(run(", input: { n: x, m: '${ .m }' }"), Contains("input.schema of the workflow 'other'"));
    CHECK_THAT(run(", input: { m: '${ .m }' }"), Contains("'n' is missing"));
}

TEST_CASE("a warning stops neither pack nor publish; an error of check stops both", "[workflows][check]")
{
    PackageFolder folder;
    folder.file("package.yaml", "name: flow\nversion: 1.0.0\npermissions: { network: [ 'https://h.test' ] }\n").file("workflow.yaml", kHead + "do: [ { a: { wait: PT1S, then: end } }, { b: { wait: PT1S } } ]");
    CHECK(workflows::pack(folder.path()).has_value());
    folder.file("workflow.yaml", kHead + "do: [ { a: { for: { in: '5' }, do: [ { b: { wait: PT1S } } ] } } ]");
    const auto packed = workflows::pack(folder.path());
    REQUIRE_FALSE(packed);
    CHECK_THAT(packed.error().what, Contains("'for.in' must give an array"));
}

TEST_CASE("the packages that we ship are clean", "[workflows][check]")
{
    const char* source = std::getenv("MILL_SOURCE");
    if (source == nullptr) {
        WARN("SKIP: MILL_SOURCE is not set");
        return;
    }
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(source) / "workflows/packages")) {
        const auto package = workflows::load_package(entry.path().string());
        REQUIRE(package);
        CHECK(all_findings(*package) == "");
        ++count;
    }
    CHECK(count >= 3);
}

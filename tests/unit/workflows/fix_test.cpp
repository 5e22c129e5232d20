#include <catch2/catch.hpp>

#include "tests/support/package_folder.h"
#include "tests/support/workflow_run.h"
#include "workflows/check/insert.h"

using namespace mill;
using namespace mill::testing;
using Catch::Contains;

namespace {

std::string add(const std::string& yaml, std::vector<std::string> path, const Json& item, const std::string& member = {})
{
    const workflows::Remedy remedy{"package.yaml", std::move(path), member, item};
    const auto once = workflows::insert(yaml, remedy);
    if (!once) return once.error().what;
    const auto twice = workflows::insert(*once, remedy);
    REQUIRE(twice);
    CHECK(*twice == *once);  // again: nothing
    return *once;
}
const std::vector<std::string> kNetwork = {"permissions", "network"};

}  // namespace

TEST_CASE("an item goes into a list where it stands, and nothing else moves", "[workflows][fix]")
{
    CHECK(add("permissions:\n  network: [ \"https://a.test\" ]  # the shop\nname: x\n", kNetwork, "https://b.test") == "permissions:\n  network: [ \"https://a.test\", \"https://b.test\" ]  # the shop\nname: x\n");
    CHECK(add("permissions: { network: [] }\n", kNetwork, "b.test:25") == "permissions: { network: [ \"b.test:25\" ] }\n");
    CHECK(add("permissions:\n  network:\n    # first\n    - a.test:1   # why\n\n# end\nname: x\n", kNetwork, "b.test:2") == "permissions:\n  network:\n    # first\n    - a.test:1   # why\n    - \"b.test:2\"\n\n# end\nname: x\n");
    CHECK(add("permissions:\n  network:\n  - a.test:1\n  files: { read: [ /a ] }\n", kNetwork, "b.test:2") == "permissions:\n  network:\n  - a.test:1\n  - \"b.test:2\"\n  files: { read: [ /a ] }\n");
    CHECK(add("permissions: { network: [\n    \"https://a.test\",  # one, ] of them\n    \"https://c.test\"\n  ] }\n", kNetwork, "https://b.test") ==
          "permissions: { network: [\n    \"https://a.test\",  # one, ] of them\n    \"https://c.test\", \"https://b.test\"\n  ] }\n");
    CHECK(add("permissions: { files: { read: [ /a ] } }\n", {"permissions", "files", "read"}, "/srv/b c") == "permissions: { files: { read: [ /a, \"/srv/b c\" ] } }\n");
    CHECK(add("permissions: { network: [ { variable: a } ] }", kNetwork, Json::object({{"variable", "b"}})) == "permissions: { network: [ { variable: a }, { variable: b } ] }\n");
}

TEST_CASE("what leads to the list is made when it is missing", "[workflows][fix]")
{
    CHECK(add("# a package\nname: x\nversion: 1.0.0\n", kNetwork, "https://b.test") == "# a package\nname: x\nversion: 1.0.0\npermissions: { network: [ \"https://b.test\" ] }\n");
    CHECK(add("name: x\npermissions:\n  system: [ usage ]\n# tail\nrepeatable: true\n", {"permissions", "files", "write"}, "/srv/b") ==
          "name: x\npermissions:\n  system: [ usage ]\n  files: { write: [ /srv/b ] }\n# tail\nrepeatable: true\n");
    CHECK(add("permissions:   # nothing yet\nname: x\n", kNetwork, "https://b.test") == "permissions: { network: [ \"https://b.test\" ] }   # nothing yet\nname: x\n");
    CHECK(add("permissions: {}\nname: x\n", kNetwork, "a.test:1") == "permissions: { network: [ \"a.test:1\" ] }\nname: x\n");
    CHECK(add("{ name: x }\n", kNetwork, "https://b.test") == "{ name: x, permissions: { network: [ \"https://b.test\" ] } }\n");
    CHECK(add("name: x\n", {"credentials"}, Json::object({{"kind", "login"}}), "erp") == "name: x\ncredentials: { erp: { kind: login } }\n");
    CHECK(add("credentials:\n  a: { kind: login }\n\nname: x", {"credentials"}, Json::object({{"kind", "bearer"}}), "b") == "credentials:\n  a: { kind: login }\n  b: { kind: bearer }\n\nname: x\n");
    CHECK(add("document: {}\nuse:\n  timeouts: { a: { after: PT1S } }\ndo: []\n", {"use", "secrets"}, "erp") == "document: {}\nuse:\n  timeouts: { a: { after: PT1S } }\n  secrets: [ erp ]\ndo: []\n");
}

TEST_CASE("a form that does not admit it is left alone, and the words say what to write", "[workflows][fix]")
{
    CHECK_THAT(add("permissions: nothing\n", kNetwork, "https://b.test"), Contains("permissions.network: [ \"https://b.test\" ]") && Contains("does not admit"));
    CHECK_THAT(add("permissions: ~\n", kNetwork, "https://b.test"), Contains("does not admit"));
    CHECK_THAT(add("a: [", kNetwork, "x"), Contains("package.yaml"));
}

TEST_CASE("the remedies of a package make its missing permissions and secrets go", "[workflows][fix]")
{
    PackageFolder folder;
    const std::string package = "# shop\nname: flow\nversion: 1.0.0  # keep\nvariables: { out: { type: string } }\n";
    folder.file("package.yaml", package)
        .file("workflow.yaml", "document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\ndo:\n"
                               "  - ask: { call: http, with: { method: get, endpoint: { uri: 'https://h.test/x', authentication: { bearer: { use: shop } } } } }\n"
                               "  - keep: { call: file.write, with: { path: '${ $runtime.metadata.variables.out + \"/x\" }', content: '${ $secrets.erp.password }' } }\n"
                               "  - look: { call: system.usage }\n  - run: { run: { shell: { command: ls } } }\n");
    const auto before = workflows::load_package(folder.path());
    REQUIRE(before);
    CHECK_FALSE(before->valid());
    std::map<std::string, std::string> files;
    for (const auto& remedy : workflows::check(*before).remedies) {
        std::string& text = files.emplace(remedy.file, folder.read(remedy.file)).first->second;
        const auto next = workflows::insert(text, remedy);
        REQUIRE(next);
        text = *next;
    }
    CHECK(files.size() == 2);
    for (const auto& [name, text] : files) folder.file(name, text);
    CHECK(folder.read("package.yaml").starts_with(package));
    const auto after = workflows::load_package(folder.path());
    REQUIRE(after);
    CHECK(all_findings(*after) == "");
    CHECK(workflows::check(*after).remedies.empty());
    CHECK(after->manifest.permissions.network == std::vector<std::string>{"https://h.test"});
    CHECK(after->manifest.credentials.at("shop") == "bearer");
    CHECK(after->manifest.credentials.at("erp") == "login");
}

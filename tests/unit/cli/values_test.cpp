#include <catch2/catch.hpp>

#include <algorithm>
#include <sstream>

#include "cli/api.h"
#include "cli/credential_words.h"
#include "cli/input.h"
#include "cli/jobs.h"
#include "cli/local_run.h"
#include "cli/resources.h"
#include "cli/run_report.h"
#include "cli/sample.h"
#include "platform/base/http_date.h"
#include "platform/base/ids.h"
#include "platform/base/yaml.h"
#include "platform/files.h"

using namespace mill;
using namespace mill::cli;

namespace {

struct Folder {
    std::string path = "/tmp/millwright-cli-test-" + new_uid();
    Folder() { REQUIRE(platform::make_folder(path, 0700)); }
    ~Folder() { (void)platform::remove_tree(path); }
    std::string file(const std::string& name, const std::string& text) const
    {
        REQUIRE(platform::write_file(path + "/" + name, text, 0600));
        return path + "/" + name;
    }
};

Json schema(const char* text) { return parse_json(text).value(); }

}  // namespace

TEST_CASE("a sample fits the schema that it was made from", "[cli][sample]")
{
    CHECK(sample_of(schema(R"({"type":"object","required":["order"],"properties":{"order":{"type":"string"},"note":{"type":"string"}}})")) ==
          schema(R"({"order":"text"})"));
    CHECK(sample_of(schema(R"({"type":"object","required":["name"]})")) == schema(R"({"name":"text"})"));
    CHECK(sample_of(schema(R"({"type":"integer","minimum":7})")) == Json(7));
    CHECK(sample_of(schema(R"({"enum":["all","load"]})")) == Json("all"));
    CHECK(sample_of(schema(R"({"type":"string","examples":["4711"]})")) == Json("4711"));
    CHECK(sample_of(schema(R"({"type":"string","minLength":6})")).as_string().size() == 6);
    CHECK(sample_of(schema(R"({"type":"array","minItems":2,"items":{"type":"boolean"}})")) == schema("[true,true]"));
}

TEST_CASE("a shell reads a quoted text as it was", "[cli][sample]")
{
    CHECK(shell_quoted(R"({"a": "it's"})") == R"('{"a": "it'\''s"}')");
}

TEST_CASE("an answer's problem document becomes the error's words and code", "[cli][api]")
{
    const Error wrong = error_of(422, R"({"title":"Unprocessable","detail":"the same key came with another body","errors":["a","b"]})", "trigger x");
    CHECK(wrong.code == Errc::invalid);
    CHECK(wrong.what == "trigger x: the same key came with another body\n  a\n  b");
    CHECK(error_of(404, "", "").code == Errc::not_found);
    CHECK(error_of(409, "{}", "").code == Errc::conflict);
    CHECK(error_of(503, "<html>", "").code == Errc::unavailable);
    CHECK_THAT(error_of(401, R"({"detail":"no token"})", "").what, Catch::Contains("millwright login"));
}

TEST_CASE("a name goes into a path as one segment", "[cli][api]")
{
    CHECK(join_path("/v1/jobs", "a/../b c", "/why") == "/v1/jobs/a%2F..%2Fb%20c/why");
}

TEST_CASE("the Date header is read, what is none is refused", "[cli][api]")
{
    REQUIRE(parse_http_date("Sun, 22 Nov 2026 14:09:36 GMT"));
    CHECK(format_time(*parse_http_date("Sun, 22 Nov 2026 14:09:36 GMT")) == "2026-11-22T14:09:36.000000Z");
    CHECK_FALSE(parse_http_date("Sun, 22 Nox 2026 14:09:36 GMT"));
    CHECK_FALSE(parse_http_date(""));
}

TEST_CASE("the lines of a refusal are a grant file that allows it", "[cli][run]")
{
    const std::vector<std::string> items = {"network https://a.example.com", "network b.example.com:25", "files.write /srv/x",
                                            "commands sh", "system usage", "limits.memory 1GiB"};
    const auto yaml = parse_yaml(permission_lines(items));
    REQUIRE(yaml);
    const auto granted = protocol::parse_permissions(yaml->value["permissions"], "test");
    REQUIRE(granted);
    CHECK(granted->network == std::vector<std::string>{"https://a.example.com", "b.example.com:25"});
    CHECK(granted->write == std::vector<std::string>{"/srv/x"});
    CHECK(granted->commands == std::vector<std::string>{"sh"});
    CHECK(granted->system == std::vector<std::string>{"usage"});
    CHECK(granted->limits.memory == mebibytes(1024));
}

TEST_CASE("--grant-all covers what is asked, all network, the script programs and the folder", "[cli][run]")
{
    protocol::Permissions asked;
    asked.read = {"/srv/in"};
    asked.network = {"https://a.example.com"};
    asked.credentials = {"erp"};
    const protocol::Permissions all = everything(asked, "/home/anna");
    CHECK(protocol::missing(asked, all).empty());
    CHECK(protocol::admits_network(all.network, "http", "127.0.0.1", 8080));
    CHECK(protocol::covers_path(all.write, "/home/anna/x"));
    CHECK_FALSE(protocol::covers_path(all.write, "/etc/passwd"));
    CHECK(std::count(all.commands.begin(), all.commands.end(), "python3") == 1);
}

TEST_CASE("a local run's lines become log, events and the end", "[cli][run]")
{
    std::ostringstream out, err, events;
    Console console(out, err, {});
    const Redactor secrets = redactor_of(Json::object({{"erp", Json::object({{"password", "hunter2"}})}}));
    RunReport report(console, secrets, &events, nullptr);
    CHECK(report.take(R"({"event":{"sequence":2,"time":"2026-11-22T13:40:01.123456Z","kind":"log","body":{"level":"info","text":"hello \u001b[2J"}}})"));
    CHECK(report.take(R"({"event":{"sequence":3,"time":"2026-11-22T13:40:01.123456Z","kind":"step","body":{"task":"/do/0/a","name":"a","type":"set","state":"completed"}}})"));
    CHECK(report.take(R"({"cloudEvent":{"specversion":"1.0","id":"1"}})"));
    CHECK_FALSE(report.ended());
    CHECK(report.take(R"({"ended":{"state":"successful","reason":"completed","output":{"a":1}}})"));
    CHECK_FALSE(report.take("Segmentation fault"));
    REQUIRE(report.ended());
    CHECK((*report.ended())["output"]["a"] == Json(1));
    CHECK_THAT(err.str(), Catch::Contains("hello ?[2J"));
    CHECK_THAT(err.str(), !Catch::Contains("completed"));  // steps only with --trace
    CHECK(events.str() == "{\"specversion\":\"1.0\",\"id\":\"1\"}\n");
    CHECK(out.str().empty());
}

TEST_CASE("an ending shows the output or the error and gives its exit status", "[cli][jobs]")
{
    std::ostringstream out, err;
    Console console(out, err, {});
    CHECK(show_ending(console, schema(R"({"state":"successful","reason":"completed","output":{"reply":"yes"}})")) == 0);
    CHECK(out.str() == "{\n  \"reply\": \"yes\"\n}\n");
    CHECK(show_ending(console, schema(R"({"state":"failed","reason":"error","error":{"type":"https://x/errors/communication","status":503,"title":"down","instance":"/do/0/a"}})")) == 1);
    CHECK_THAT(err.str(), Catch::Contains("communication 503: down (at /do/0/a)"));
    CHECK(show_ending(console, schema(R"({"state":"cancelled","reason":"cancelled_by","evidence":{"by":"anna","why":"wrong order"}})")) == 2);
    CHECK_THAT(err.str(), Catch::Contains("the job is cancelled by anna: wrong order\n"));
    CHECK(show_ending(console, schema(R"({"state":"expired","reason":"not_started"})")) != 0);
    CHECK_THAT(err.str(), Catch::Contains("the job is expired: not_started\n"));
}

TEST_CASE("resources are read from files and folders, with every mistake at its place", "[cli][resources]")
{
    const Folder folder;
    folder.file("b.yaml", "kind: Trigger\nname: t\nstatus: { uid: x }\n---\nkind: Notifier\nname: n\n");
    folder.file("a.yml", "kind: Environment\nname: e\n");
    folder.file("notes.txt", "not yaml: [");
    const auto documents = read_resources({folder.path});
    REQUIRE(documents);
    REQUIRE(documents->size() == 3);
    CHECK((*documents)[0].document["kind"] == Json("Environment"));
    CHECK((*documents)[1].document["name"] == Json("t"));
    CHECK_FALSE((*documents)[1].document.contains("status"));

    const Folder wrong;
    wrong.file("a.yaml", "kind: Trigger\n---\n- 1\n");
    const auto mistakes = read_resources({wrong.path});
    REQUIRE_FALSE(mistakes);
    CHECK(mistakes.error().code == Errc::invalid);
    CHECK_THAT(mistakes.error().what, Catch::Contains("a.yaml:1:1: the document has no `name`") && Catch::Contains("must be a map"));
    CHECK_FALSE(read_resources({wrong.path + "/absent.yaml"}));
}

TEST_CASE("kinds are read in the singular, plural and any case", "[cli][resources]")
{
    CHECK(*plural_of_kind("Deployment") == "deployments");
    CHECK(*plural_of_kind("triggers") == "triggers");
    CHECK_THAT(plural_of_kind("pods").error().what, Catch::Contains("environments"));
}

TEST_CASE("a value is read as JSON or YAML, and a mistake has its place", "[cli][input]")
{
    const Folder folder;
    CHECK(*read_value(folder.file("a.json", R"({"a": 1})")) == schema(R"({"a":1})"));
    CHECK(*read_value(folder.file("a.yaml", "a: [1, two]\n")) == schema(R"({"a":[1,"two"]})"));
    CHECK_FALSE(read_value(folder.file("empty", " \n")));
    CHECK_THAT(read_object(folder.file("list", "[1]")).error().what, Catch::Contains("an object is expected"));
    CHECK_THAT(read_value(folder.file("bad.yaml", "a: 1\nb: [\n")).error().what, Catch::Contains("bad.yaml:"));
    CHECK(*read_pairs({"site=berlin", "a=b=c"}, "--label") == schema(R"({"site":"berlin","a":"b=c"})"));
    CHECK_FALSE(read_pairs({"berlin"}, "--label"));
}

TEST_CASE("a credential that is bound to no host is said to be usable at any", "[cli][credentials]")
{
    const auto stored = [](std::string kind, Json hosts) { return Json::object({{"name", "erp"}, {"kind", std::move(kind)}, {"hosts", std::move(hosts)}}); };
    const Json values = Json::object({{"username", "anna"}, {"password", "hunter2"}});
    CHECK(hosts_of(stored("login", Json::array())) == "any host");
    CHECK(hosts_of(stored("login", Json::array({"erp.example.com"}))) == "erp.example.com");
    CHECK(hosts_of(stored("hmac", Json::array())).empty());
    REQUIRE(warnings_of(stored("login", Json::array()), values).size() == 1);
    CHECK_THAT(warnings_of(stored("login", Json::array()), values)[0], Catch::Contains("usable at every host that a job may reach") && Catch::Contains("--hosts"));
    CHECK(warnings_of(stored("login", Json::array({"erp.example.com"})), values).empty());
    CHECK(warnings_of(stored("hmac", Json::array()), values).empty());
}

TEST_CASE("a value too short to be masked is named when it is stored, and not shown", "[cli][credentials]")
{
    const Json stored = Json::object({{"name", "door"}, {"kind", "generic"}, {"hosts", Json::array({"door.example.com"})}});
    const auto warnings = warnings_of(stored, Json::object({{"pin", "7Q"}, {"code", "long-enough"}, {"note", ""}, {"username", "bob"}}));
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0], Catch::Contains("'pin' in door") && !Catch::Contains("7Q"));
}

// `millwright-agent service` against a stand-in for systemctl and folders of its own; the real systemd is in tests/integration.
#include "agent/service_command.h"

#include <cstdlib>
#include <regex>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "agent/companion_autostart.h"
#include "agent/config.h"
#include "agent/options.h"
#include "agent/policy.h"
#include "platform/files.h"
#include "tests/unit/agent/agent_world.h"

using namespace mill;
using namespace mill::agent;
using mill::test::TemporaryFolder;
using Action = ServiceRequest::Action;

namespace {

std::string line_of(const std::string& text, const std::string& key)
{
    const std::size_t at = text.find("\n" + key + "=");
    return at == std::string::npos ? std::string() : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

struct ServiceBench {
    TemporaryFolder folder;
    ServiceWorld world;
    std::vector<std::string> asked;   ///< what systemctl was asked, each in one line
    std::string shown = "LoadState=not-found\nActiveState=inactive\nMainPID=0\n";
    int answer = 0;
    std::string users;

    ServiceBench()
    {
        world.unit_folder = folder.path + "/units";
        world.package_folders = {folder.path + "/packaged"};
        world.program = "/usr/bin/true";  // what others may run
        world.usual_data = folder.path + "/data";
        world.root = world.systemd = true;
        world.systemctl = [this](const std::vector<std::string>& words) -> Result<platform::Captured> {
            std::string line;
            for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
            asked.push_back(line);
            platform::Captured out;
            out.ending.exit_code = answer;
            if (words.front() == "show") out.out = shown;
            if (answer != 0) out.err = "Failed to do it: no bus\n";
            return out;
        };
        world.make_users = [this](const std::string& text) -> Status {
            users = text;
            return {};
        };
    }
    std::string unit() const { return world.unit_folder + "/millwright-agent.service"; }
    std::string text() const { return platform::read_file(unit(), 100'000).value_or(""); }
    void enrol()
    {
        Identity identity;
        identity.factory_id = "f-1";
        identity.factory_url = "https://factory.example.com";
        identity.factory_key = std::string(32, 'k');
        identity.private_key = std::string(32, 'k');
        identity.token_url = "https://factory.example.com/token";
        identity.agent_id = "a-1";
        identity.name = "srv-9";
        identity.environment = "it";
        REQUIRE(save_identity(world.usual_data, identity));
    }
    ServiceAnswer run(Action action, ServiceScope scope = ServiceScope::system, bool json = false)
    {
        ServiceRequest request;
        request.action = action;
        request.scope = scope;
        request.json = json;
        return run_service(request, world);
    }
};

}  // namespace

TEST_CASE("the unit of another place is the package's with other paths in it", "[service]")
{
    const auto text = unit_text({ServiceScope::system, "/opt/mill/bin/millwright-agent", "/var/lib/robots/one", "/etc/robots.yaml"});
    REQUIRE(text);
    CHECK(is_written_here(*text));
    CHECK_FALSE(is_written_here(unit_source()));
    CHECK(line_of(*text, "ExecStart") == "ExecStart=/opt/mill/bin/millwright-agent run --data /var/lib/robots/one --config /etc/robots.yaml");
    CHECK(line_of(*text, "ExecCondition") == "ExecCondition=/opt/mill/bin/millwright-agent service check --data /var/lib/robots/one");
    CHECK(line_of(*text, "StateDirectory").empty());   // systemd would take the folder for root again
    CHECK(text->find("/usr/bin/millwright-agent") == std::string::npos);
    CHECK(data_of_unit(*text) == "/var/lib/robots/one");
    CHECK(data_of_unit(unit_source()) == "/var/lib/millwright/agent");
    for (const char* key : {"CapabilityBoundingSet", "SystemCallFilter", "ProtectHome", "PrivateTmp", "Delegate", "RestartPreventExitStatus"}) {
        INFO(key);
        CHECK_FALSE(line_of(*text, key).empty());
        CHECK(line_of(*text, key) == line_of(std::string(unit_source()), key));
    }
}

TEST_CASE("what hides homes or the machine's /tmp goes where the paths lie there", "[service]")
{
    const auto home = unit_text({ServiceScope::system, "/home/ada/bin/millwright-agent", "/var/lib/millwright/agent", ""});
    REQUIRE(home);
    CHECK(line_of(*home, "ProtectHome").empty());
    CHECK_FALSE(line_of(*home, "PrivateTmp").empty());
    const auto tmp = unit_text({ServiceScope::system, "/usr/bin/millwright-agent", "/tmp/agent", ""});
    REQUIRE(tmp);
    CHECK(line_of(*tmp, "PrivateTmp").empty());
    CHECK(line_of(*tmp, "StateDirectory").empty());
    CHECK_FALSE(line_of(*tmp, "ProtectHome").empty());
    CHECK_FALSE(line_of(*unit_text({ServiceScope::system, "/homes/millwright-agent", "/var/lib/a", ""}), "ProtectHome").empty());
}

TEST_CASE("a person's unit has what a person's manager can do", "[service]")
{
    const auto text = unit_text({ServiceScope::user, "/home/ada/bin/millwright-agent", "/home/ada/.local/share/millwright/agent", ""});
    REQUIRE(text);
    CHECK(line_of(*text, "WantedBy") == "WantedBy=default.target");
    CHECK(line_of(*text, "Type") == "Type=notify");
    CHECK_FALSE(line_of(*text, "Delegate").empty());
    CHECK_FALSE(line_of(*text, "WatchdogSec").empty());
    for (const char* key : {"CapabilityBoundingSet", "ProtectSystem", "ProtectHome", "PrivateTmp", "RuntimeDirectory", "After", "ReadWritePaths"}) {
        INFO(key);
        CHECK(line_of(*text, key).empty());
    }
}

TEST_CASE("paths stand in a unit as systemd reads them back", "[service]")
{
    for (const char* data : {"/srv/with space", "/srv/100%", "/srv/$HOME", "/srv/quo\"te", "/srv/back\\slash", "/srv/%% \"$\\"}) {
        INFO(data);
        const auto text = unit_text({ServiceScope::system, "/usr/bin/millwright-agent", data, ""});
        REQUIRE(text);
        CHECK(data_of_unit(*text) == data);
    }
    CHECK(line_of(*unit_text({ServiceScope::system, "/usr/bin/millwright-agent", "/srv/a b%h", ""}), "ExecStart") ==
          "ExecStart=/usr/bin/millwright-agent run --data \"/srv/a b%%h\"");
    CHECK_FALSE(unit_text({ServiceScope::system, "/usr/bin/millwright-agent", "/srv/a\nExecStart=/bin/sh", ""}));
    CHECK_FALSE(unit_text({ServiceScope::system, "/usr/bin/millwright-agent", "relative", ""}));
    CHECK_FALSE(unit_text({ServiceScope::system, "/opt/$x/millwright-agent", "/srv", ""}));
}

TEST_CASE("install writes, enables and makes the users; a second time changes nothing", "[service]")
{
    ServiceBench bench;
    const ServiceAnswer first = bench.run(Action::install);
    CAPTURE(first.text);
    REQUIRE(first.status == 0);
    CHECK(bench.asked == std::vector<std::string>{"daemon-reload", "enable millwright-agent.service"});
    CHECK(data_of_unit(bench.text()) == bench.world.usual_data);
    CHECK(bench.users.find("u millwright-run ") != std::string::npos);
    CHECK(bench.users.find("u millwright-broker ") != std::string::npos);
    CHECK(bench.users.find("factory") == std::string::npos);
    CHECK(first.text.find("millwright-agent enrol --data " + bench.world.usual_data) != std::string::npos);
    const std::string text = bench.text();
    const ServiceAnswer second = bench.run(Action::install);
    CHECK(second.status == 0);
    CHECK(second.text.find("is as it was") != std::string::npos);
    CHECK(bench.text() == text);
    SECTION("uninstall removes the unit and keeps the data")
    {
        bench.enrol();
        bench.asked.clear();
        const ServiceAnswer gone = bench.run(Action::uninstall);
        CHECK(gone.status == 0);
        CHECK(bench.asked == std::vector<std::string>{"disable --now millwright-agent.service", "daemon-reload"});
        CHECK_FALSE(platform::exists(bench.unit()));
        CHECK(platform::exists(bench.world.usual_data));
        CHECK(bench.run(Action::uninstall).text.find("nothing to do") != std::string::npos);
    }
    SECTION("a folder that was said once is known afterwards")
    {
        ServiceRequest request;
        request.action = Action::install;
        request.data = "/var/lib/elsewhere";
        REQUIRE(run_service(request, bench.world).status == 0);
        REQUIRE(bench.run(Action::install).status == 0);
        CHECK(data_of_unit(bench.text()) == "/var/lib/elsewhere");
    }
}

TEST_CASE("install refuses and says what to do", "[service]")
{
    ServiceBench bench;
    const auto refused = [&](int status, const char* word, ServiceScope scope = ServiceScope::system) {
        const ServiceAnswer answer = bench.run(Action::install, scope);
        CHECK(answer.status == status);
        CHECK_THAT(answer.text, Catch::Contains(word));
        CHECK_FALSE((platform::exists(bench.unit()) && is_written_here(bench.text())));
    };
    SECTION("without systemd")
    {
        bench.world.systemd = false;
        refused(78, "systemd does not run here");
        refused(78, "systemctl --user", ServiceScope::user);
        CHECK(bench.run(Action::status).status == 4);
    }
    SECTION("without root")
    {
        bench.world.root = false;
        refused(77, "--user");
        CHECK(bench.run(Action::install, ServiceScope::user).status == 0);
    }
    SECTION("where a package has its unit, which start acts on")
    {
        REQUIRE(platform::make_folder(bench.world.package_folders[0]));
        REQUIRE(platform::write_file(bench.world.package_folders[0] + "/millwright-agent.service", unit_source()));
        refused(78, "belongs to an installed package");
        CHECK_THAT(bench.run(Action::uninstall).text, Catch::Contains("apt remove"));
    }
    SECTION("where a person wrote one")
    {
        REQUIRE(platform::make_folder(bench.world.unit_folder));
        REQUIRE(platform::write_file(bench.unit(), "[Service]\nExecStart=/bin/true\n"));
        refused(78, "was not written by this command");
        CHECK(bench.run(Action::uninstall).status == 78);
        CHECK(platform::exists(bench.unit()));
    }
    SECTION("where the agent's users cannot reach the programs")
    {
        REQUIRE(platform::make_folder(bench.folder.path + "/closed", 0700));
        REQUIRE(platform::write_file(bench.folder.path + "/closed/millwright-agent", "", 0755));
        ::chmod((bench.folder.path + "/closed").c_str(), 0700);
        bench.world.program = bench.folder.path + "/closed/millwright-agent";
        refused(78, "/usr/local/bin");
    }
    SECTION("when systemctl fails: with its words")
    {
        bench.answer = 1;
        const ServiceAnswer answer = bench.run(Action::install);
        CHECK(answer.status == 78);
        CHECK_THAT(answer.text, Catch::Contains("no bus"));
    }
}

TEST_CASE("start wants a unit and an enrolled folder", "[service]")
{
    ServiceBench bench;
    CHECK_THAT(bench.run(Action::start).text, Catch::Contains("service install"));
    REQUIRE(bench.run(Action::install).status == 0);
    const ServiceAnswer early = bench.run(Action::start);
    CHECK(early.status == 78);
    CHECK_THAT(early.text, Catch::Contains("is not enrolled"));
    ServiceRequest check;
    check.action = Action::check;
    check.data = bench.world.usual_data;
    CHECK(run_service(check, bench.world).status == 1);
    CHECK_THAT(run_service(check, bench.world).text, Catch::Contains("millwright-agent enrol --data " + bench.world.usual_data));
    bench.enrol();
    bench.asked.clear();
    CHECK(run_service(check, bench.world).status == 0);
    CHECK(bench.run(Action::start).status == 0);
    CHECK(bench.run(Action::stop).status == 0);
    CHECK(bench.asked == std::vector<std::string>{"start millwright-agent.service", "stop millwright-agent.service"});
}

TEST_CASE("status tells a person and a program the same, with systemctl's exit statuses", "[service]")
{
    ServiceBench bench;
    CHECK(bench.run(Action::status).status == 4);
    REQUIRE(bench.run(Action::install).status == 0);
    bench.shown = "LoadState=loaded\nActiveState=inactive\nSubState=dead\nMainPID=0\nUnitFileState=enabled\nFragmentPath=" + bench.unit() + "\n";
    const ServiceAnswer still = bench.run(Action::status);
    CHECK(still.status == 3);
    CHECK_THAT(still.text, Catch::Contains("inactive") && Catch::Contains("enrolled  no: "));
    bench.enrol();
    bench.shown = "LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=4711\nUnitFileState=enabled\nStatusText=subscribed\n"
                  "ActiveEnterTimestamp=Thu 2026-11-26 22:00:00 UTC\nFragmentPath=" + bench.unit() + "\n";
    const ServiceAnswer runs = bench.run(Action::status);
    CHECK(runs.status == 0);
    CHECK_THAT(runs.text, Catch::Contains("active since Thu 2026-11-26 22:00:00 UTC, process 4711") && Catch::Contains("(enabled)") &&
                              Catch::Contains("as srv-9 in environment it of https://factory.example.com") && Catch::Contains(bench.world.usual_data));
    const auto json = parse_json(bench.run(Action::status, ServiceScope::system, true).text);
    REQUIRE(json);
    CHECK((*json)["active"] == Json(true));
    CHECK((*json)["enabled"] == Json(true));
    CHECK((*json)["pid"] == Json(4711));
    CHECK((*json)["data"] == Json(bench.world.usual_data));
    CHECK((*json)["enrolled"].as_array()[0]["name"] == Json("srv-9"));
}

TEST_CASE("the command line of service names what it does not know", "[service]")
{
    const auto status = parse_options({"service", "status", "--user", "--json"});
    REQUIRE(status);
    CHECK(status->service.action == Action::status);
    CHECK(status->service.scope == ServiceScope::user);
    CHECK(status->service.json);
    CHECK_THAT(parse_options({"service"}).error().what, Catch::Contains("install, uninstall, start, stop or status"));
    CHECK_THAT(parse_options({"service", "restart"}).error().what, Catch::Contains("install, uninstall"));
    CHECK_THAT(parse_options({"service", "start", "--config", "x"}).error().what, Catch::Contains("--config"));
}

TEST_CASE("the settings that the package ships are strict, and each key in them is one that is known", "[service]")
{
    const char* source = std::getenv("MILL_SOURCE");
    const std::string folder = (source != nullptr ? std::string(source) : std::string(".")) + "/packaging/systemd/";
    CHECK(platform::read_file(folder + "policy.yaml", 100'000).value_or("") == default_policy_text());
    const std::string settings = platform::read_file(folder + "agent.yaml", 100'000).value_or("");
    REQUIRE_FALSE(settings.empty());
    const auto as_it_is = parse_config(settings, "agent.yaml");
    REQUIRE(as_it_is);
    CHECK(as_it_is->slots == Config{}.slots);
    const auto all = parse_config(std::regex_replace(settings, std::regex("# ([a-zA-Z]+: )"), "$1"), "agent.yaml");
    CAPTURE(all ? std::string() : all.error().what);
    REQUIRE(all);
    CHECK(all->ca_file == "/etc/millwright/ca.pem");
    CHECK(all->stop_wait == Config{}.stop_wait);
    CHECK(all->package_quota == Config{}.package_quota);
}

TEST_CASE("a person's service brings the companion into the desktop's autostart, and takes it away again", "[service][autostart]")
{
    ServiceBench bench;
    bench.world.companion = "/opt/mill/bin/millwright-companion";
    bench.world.autostart_folder = bench.folder.path + "/autostart";
    const std::string path = bench.world.autostart_folder + "/millwright-companion.desktop";
    const auto text = [&] { return platform::read_file(path, 100'000).value_or(""); };

    SECTION("with the unit")
    {
        const ServiceAnswer done = bench.run(Action::install, ServiceScope::user);
        CHECK(done.status == 0);
        CHECK_THAT(done.text, Catch::Contains(path + " is written"));
        CHECK(line_of(text(), "Exec") == "Exec=\"/opt/mill/bin/millwright-companion\" --autostart --data \"" + bench.world.usual_data + "\"");
        CHECK_THAT(bench.run(Action::install, ServiceScope::user).text, Catch::Contains(path + " is as it was"));
        CHECK_THAT(bench.run(Action::uninstall, ServiceScope::user).text, Catch::Contains(path + " is gone"));
        CHECK_FALSE(platform::exists(path));
    }
    SECTION("where there is no systemd of the person's own it starts the agent, too")
    {
        bench.world.systemd = false;
        CHECK(bench.run(Action::install, ServiceScope::user).status == 0);
        CHECK_THAT(line_of(text(), "Exec"), Catch::EndsWith("--with-agent"));
        CHECK(bench.asked.empty());
        CHECK(bench.run(Action::uninstall, ServiceScope::user).status == 0);
        CHECK_FALSE(platform::exists(path));
        CHECK(bench.run(Action::uninstall, ServiceScope::user).refused);
    }
    SECTION("a file that a person wrote stays as it is")
    {
        REQUIRE(platform::make_folder(bench.world.autostart_folder));
        REQUIRE(platform::write_file(path, "[Desktop Entry]\nExec=mine\n"));
        CHECK_THAT(bench.run(Action::install, ServiceScope::user).text, Catch::Contains("stays as it is"));
        (void)bench.run(Action::uninstall, ServiceScope::user);
        CHECK(text() == "[Desktop Entry]\nExec=mine\n");
    }
    SECTION("the machine's service has nothing to do with it")
    {
        CHECK(bench.run(Action::install).status == 0);
        CHECK_FALSE(platform::exists(path));
    }
}

TEST_CASE("paths stand in an autostart file as desktops read them back", "[service][autostart]")
{
    const auto text = autostart_text({"/p", "/srv/a b\"c$d`e\\f%g", "/c.yaml", false});
    REQUIRE(text);
    CHECK(line_of(*text, "Exec") == R"(Exec="/p" --autostart --data "/srv/a b\\"c\\$d\\`e\\\\f%%g" --config "/c.yaml")");
    CHECK_FALSE(autostart_text({"/p", "/a\nb", "", false}));
    CHECK_FALSE(autostart_text({"p", "/a", "", false}));
}

TEST_CASE("the stop key is a setting of the agent's file, and a wrong one is said with it", "[config]")
{
    CHECK(parse_config("", "c")->stop_key == "Ctrl+Alt+Pause");
    CHECK(parse_config("stopKey: Super+F12", "c")->stop_key == "Super+F12");
    CHECK(parse_config("stopKey: none", "c")->stop_key == "none");
    const auto wrong = parse_config("stopKey: A", "c");
    REQUIRE_FALSE(wrong);
    CHECK_THAT(wrong.error().what, Catch::Contains("stopKey") && Catch::Contains("needs Ctrl, Alt or Super"));
}

TEST_CASE("attend and open are read, and what is wrong with them is named", "[options]")
{
    CHECK(parse_options({"attend", "--data", "/a", "--json"})->attend.json);
    const auto open = parse_options({"open", "question", "q-1", "--data", "/a", "--print"});
    REQUIRE(open);
    CHECK(open->open.what == "question");
    CHECK(open->open.id == "q-1");
    CHECK(open->open.print);
    CHECK(parse_options({"open", "--data", "/a"})->open.what == "launcher");
    CHECK_THAT(parse_options({"open", "nonsense", "--data", "/a"}).error().what, Catch::Contains("launcher"));
    CHECK_THAT(parse_options({"attend"}).error().what, Catch::Contains("attend needs --data DIR"));
    CHECK_THAT(parse_options({"open"}).error().what, Catch::Contains("open needs --data DIR"));
    CHECK_THAT(parse_options({"attend", "--data", "/a", "--print"}).error().what, Catch::Contains("'--print'"));
}

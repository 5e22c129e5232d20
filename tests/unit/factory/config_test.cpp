#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "factory/config.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;

namespace {

Result<Config> read(std::string_view text)
{
    Config config;
    if (auto ok = parse_config(text, "factory.yaml", config); !ok) return fail(ok.error());
    return config;
}

}  // namespace

TEST_CASE("a configuration is read whole", "[factory][config]")
{
    const auto config = read(R"(listen: 0.0.0.0:8443
publicUrl: https://factory.example.com/
tls: { certificate: /etc/c.pem, key: /etc/k.pem }
egress: [ "http://127.0.0.1:*", "https://*.corp.example" ]
offlineLimit: 20m
deliveries: { giveUpAfter: 12h, timeout: 10s }
limits: { connectionsPerAddress: 50, header: 32KiB, records: 1MiB, token: 50/s, address: 200/s, agents: 5000/s, failures: 6/m, loopback: 1 }
checks: { time: 5s, memory: 256MiB }
log: debug
)");
    if (!config) FAIL(config.error().what);
    CHECK(config->address == "0.0.0.0");
    CHECK(config->port == 8443);
    CHECK(config->public_url == "https://factory.example.com");
    CHECK(config->tls());
    CHECK(config->egress.size() == 2);
    CHECK(config->offline_limit == 20min);
    CHECK(config->delivery_life == 12h);
    CHECK(config->delivery_timeout == 10s);
    CHECK(config->connections_per_address == 50);
    CHECK(config->check_time == 5s);
    CHECK(config->check_memory == mebibytes(256));
    CHECK(config->header_limit == kibibytes(32));
    CHECK(config->rates.token.per_second == 50);
    CHECK(config->rates.token.burst == 200);
    CHECK(config->rates.agents.per_second == 5000);
    CHECK(config->rates.failures.per_second == Approx(0.1));
    CHECK(config->rates.failures.burst == 6);
    CHECK(config->rates.loopback == 1);
    CHECK(config->level == log::Level::debug);
    CHECK(check_config(*config));
    CHECK(read(""));
}

TEST_CASE("all mistakes of a configuration are reported at once, with their lines", "[factory][config]")
{
    const auto config = read("listen: everywhere\negres: [ x ]\nofflineLimit: soon\nlimits:\n  header: 1B\n  speed: 5\ntls: { certificate: a }\nretention: { jobs: { age: soon, size: 5 }, every: 1ms }\notlp: { url: here }\n");
    REQUIRE_FALSE(config);
    CHECK(config.error().code == Errc::invalid);
    for (const char* expected : {"factory.yaml:1:", "'everywhere'", "egres", "factory.yaml:3:", "offlineLimit", "header: must be between", "speed", "'key' is missing", "age: ", "size", "every: must be between 1s and 1d", "otlp: url: 'here'"})
        CHECK_THAT(config.error().what, Catch::Contains(expected));
    CHECK_THAT(read("a: [").error().what, Catch::Contains("factory.yaml"));
}

TEST_CASE("a rate is a number and what it is of", "[factory][config]")
{
    for (const char* wrong : {"5", "5/h", "/s", "0/s", "-1/s", "1.5/s", "5 /s", "5/s ", "99999999/s"}) {
        INFO(wrong);
        const auto config = read(fmt::format("limits: {{ token: \"{}\" }}\n", wrong));
        REQUIRE_FALSE(config);
        CHECK_THAT(config.error().what, Catch::Contains("such as 500/s") && Catch::Contains("factory.yaml:1"));
    }
    CHECK_FALSE(read("limits: { loopback: 0 }\n"));
}

TEST_CASE("the audit log of a folder is asked for on the command line", "[factory][config]")
{
    const auto line = parse_command_line({"audit", "--data", "/d", "--head", "ab", "--json"});
    REQUIRE(line);
    CHECK(line->action == CommandLine::Action::audit);
    CHECK(line->data == "/d");
    CHECK(line->head == "ab");
    CHECK(line->json);
    CHECK_FALSE(parse_command_line({"audit"}));
    CHECK_FALSE(parse_command_line({"audit", "--data", "/d", "--to", "x"}));
    CHECK_FALSE(parse_command_line({"--data", "/d", "--json"}));
    CHECK_FALSE(parse_command_line({"--data", "/d", "--head", "x"}));
}

TEST_CASE("retention has defaults, and what is to stay for ever says never", "[factory][config]")
{
    CHECK(Config().retention.jobs == std::chrono::hours(24 * 90));
    const auto config = read("retention: { jobs: { age: never, count: 0 }, logs: { age: 7d } }\n");
    REQUIRE(config);
    CHECK_FALSE(config->retention.jobs);
    CHECK(config->retention.jobs_most == 0);
    CHECK(config->retention.logs == std::chrono::hours(24 * 7));
    CHECK(config->retention.audit == std::chrono::hours(24 * 365));
}

TEST_CASE("plain text off loopback is refused unless it is said", "[factory][config]")
{
    Config config;
    for (const char* fine : {"127.0.0.1:0", "127.5.5.5:80", "[::1]:80", "localhost:80"}) {
        REQUIRE(parse_listen(fine, config));
        CHECK(check_config(config));
    }
    for (const char* open : {"0.0.0.0:80", "[::]:80", "192.168.1.5:80"}) {
        REQUIRE(parse_listen(open, config));
        const auto checked = check_config(config);
        REQUIRE_FALSE(checked);
        CHECK_THAT(checked.error().what, Catch::Contains("--insecure") && Catch::Contains("tls"));
    }
    config.insecure = true;
    CHECK(check_config(config));
    for (const char* wrong : {"80", "a:b", "host:", ":80", "1.2.3.4:70000", "::1:80"}) CHECK_FALSE(parse_listen(wrong, config));
}

TEST_CASE("the command line says what is wrong with it", "[factory][config]")
{
    const auto line = parse_command_line({"--data", "/d", "--listen=127.0.0.1:0", "--insecure"});
    REQUIRE(line);
    CHECK(line->data == "/d");
    CHECK(line->listen == "127.0.0.1:0");
    CHECK(line->insecure);
    CHECK(parse_command_line({"--help"})->action == CommandLine::Action::help);
    CHECK(parse_command_line({"--version"})->action == CommandLine::Action::version);
    CHECK_THAT(parse_command_line({}).error().what, Catch::Contains("--data is missing"));
    CHECK_THAT(parse_command_line({"--data"}).error().what, Catch::Contains("needs a value"));
    CHECK_THAT(parse_command_line({"--date", "x"}).error().what, Catch::Contains("unknown argument '--date'"));
    const auto backup = parse_command_line({"backup", "--data", "/d", "--to=/b"});
    REQUIRE(backup);
    CHECK(backup->action == CommandLine::Action::backup);
    CHECK(backup->folder == "/b");
    CHECK(parse_command_line({"restore", "--from", "/b", "--data", "/d"})->action == CommandLine::Action::restore);
    CHECK_THAT(parse_command_line({"restore", "--data", "/d"}).error().what, Catch::Contains("--from is missing"));
    CHECK_THAT(parse_command_line({"backup", "--data", "/d", "--from", "/b"}).error().what, Catch::Contains("--to FOLDER"));
    CHECK_THAT(parse_command_line({"backup", "--data", "/d", "--to", "/b", "--insecure"}).error().what, Catch::Contains("--insecure"));
    CHECK_THAT(help_text(), Catch::Contains("Examples:") && Catch::Contains("Exit status"));
}

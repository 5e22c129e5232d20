#include <catch2/catch.hpp>

#include <map>

#include "cli/settings.h"
#include "platform/base/ids.h"
#include "platform/files.h"

using namespace mill;
using namespace mill::cli;

namespace {

/// A folder that goes with the test.
struct Folder {
    std::string path = "/tmp/millwright-cli-test-" + new_uid();
    Folder() { REQUIRE(platform::make_folder(path, 0700)); }
    ~Folder() { (void)platform::remove_tree(path); }
    std::string file(const std::string& name, const std::string& text, unsigned mode = 0600) const
    {
        REQUIRE(platform::write_file(path + "/" + name, text, mode));
        return path + "/" + name;
    }
};

Result<Settings> found(SettingsInput input, std::map<std::string, std::string> environment = {})
{
    input.environment = [environment](const char* name) {
        const auto at = environment.find(name);
        return at == environment.end() ? std::string() : at->second;
    };
    return find_settings(input);
}

}  // namespace

TEST_CASE("the configuration file gives factory and token", "[cli][settings]")
{
    const Folder folder;
    const std::string path = folder.file("config.yaml", "factory: http://127.0.0.1:7717/\ntoken: mw_user_a_b\nca: /etc/ca.pem\n");
    const auto settings = found({.config_path = path});
    REQUIRE(settings);
    CHECK(settings->problem == "");
    CHECK(settings->factory == "http://127.0.0.1:7717");
    CHECK(settings->token == "mw_user_a_b");
    CHECK(settings->ca_file == "/etc/ca.pem");
}

TEST_CASE("an option wins over the environment, which wins over the file", "[cli][settings]")
{
    const Folder folder;
    const std::string path = folder.file("config.yaml", "factory: http://file.example.com\ntoken: mw_user_file_x\n");
    const std::string token = folder.file("token", "mw_user_option_x\n");
    CHECK(found({.config_path = path}, {{"MILLWRIGHT_FACTORY", "https://env.example.com/"}})->factory == "https://env.example.com");
    CHECK(found({.factory = "https://option.example.com", .config_path = path}, {{"MILLWRIGHT_FACTORY", "https://env.example.com"}})->factory ==
          "https://option.example.com");
    CHECK(found({.config_path = path}, {{"MILLWRIGHT_TOKEN", "mw_user_env_x"}})->token == "mw_user_env_x");
    CHECK(found({.token_file = token, .config_path = path}, {{"MILLWRIGHT_TOKEN", "mw_user_env_x"}})->token == "mw_user_option_x");
}

TEST_CASE("the file's token is never sent to another factory than the file's", "[cli][settings]")
{
    const Folder folder;
    const std::string path = folder.file("config.yaml", "factory: http://file.example.com\ntoken: mw_user_file_x\n");
    CHECK(found({.factory = "http://other.example.com", .config_path = path})->token == "");
    CHECK(found({.factory = "http://file.example.com/", .config_path = path})->token == "mw_user_file_x");
}

TEST_CASE("a configuration that others can read, or with an unknown key, is a problem that names it", "[cli][settings]")
{
    const Folder folder;
    CHECK_THAT(found({.config_path = folder.file("open.yaml", "factory: http://a.example.com\n", 0644)})->problem, Catch::Contains("open.yaml"));
    CHECK_THAT(found({.config_path = folder.file("odd.yaml", "factroy: http://a.example.com\n")})->problem, Catch::Contains("factroy"));
    CHECK_THAT(found({.config_path = folder.path + "/absent.yaml"})->problem, Catch::Contains("absent.yaml"));
}

TEST_CASE("a token file that others can read, or that is empty, is refused", "[cli][settings]")
{
    const Folder folder;
    const std::string config = folder.file("config.yaml", "factory: http://a.example.com\n");
    const auto open = found({.token_file = folder.file("open", "mw_user_x_y\n", 0644), .config_path = config});
    REQUIRE_FALSE(open);
    CHECK(open.error().code == Errc::denied);
    const auto empty = found({.token_file = folder.file("empty", "\n"), .config_path = config});
    REQUIRE_FALSE(empty);
    CHECK_THAT(empty.error().what, Catch::Contains("is empty"));
}

TEST_CASE("an address that is no URL is refused with where it was said", "[cli][settings]")
{
    const Folder folder;
    const std::string config = folder.file("config.yaml", "factory: http://a.example.com\n");
    const auto wrong = found({.factory = "factory.example.com", .config_path = config});
    REQUIRE_FALSE(wrong);
    CHECK_THAT(wrong.error().what, Catch::Contains("--factory"));
}

TEST_CASE("what login writes is read back, and only the person may read it", "[cli][settings]")
{
    const Folder folder;
    Settings settings;
    settings.factory = "https://factory.example.com";
    settings.token = "mw_admin_abc_def";
    const std::string path = folder.path + "/deep/config.yaml";
    REQUIRE(write_config(path, settings));
    const auto back = read_config(path);
    REQUIRE(back);
    CHECK(back->factory == settings.factory);
    CHECK(back->token == settings.token);
    CHECK(platform::read_secret_file(path));
}

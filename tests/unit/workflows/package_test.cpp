#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "tests/support/workflow_run.h"
#include "workflows/archive.h"

using namespace mill;
using namespace mill::testing;
namespace fs = std::filesystem;

namespace {

class Folder {
public:
    Folder() : path_(fs::temp_directory_path() / fmt::format("mill-package-{}-{}", ::getpid(), ++count_)) { fs::create_directories(path_); }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    Folder& file(const std::string& name, const std::string& text)
    {
        fs::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name) << text;
        return *this;
    }
    std::string path() const { return path_.string(); }

private:
    static inline int count_ = 0;
    fs::path path_;
};

const std::string kFlow = "document: { dsl: 1.0.3, namespace: test, name: demo, version: 1.2.0 }\ninput: { schema: { document: { required: [ a ] } } }\ndo: [ { x: { set: { n: '${ .n + 1 }' } } } ]\n";
const std::string kPackage = "name: demo\nversion: 1.2.0\ntitle: Demo\npermissions: { files: { read: [ /srv/a ], write: [ { variable: out } ] } }\nvariables: { out: { type: string, default: /srv/out } }\n";

void good(Folder& folder) { folder.file("package.yaml", kPackage).file("workflow.yaml", kFlow).file("assets/b.txt", "bytes").file(".git/config", "hidden"); }

}  // namespace

TEST_CASE("a folder is a package with its manifest, workflows and assets", "[workflows][package]")
{
    Folder folder;
    good(folder);
    const auto package = workflows::load_package(folder.path());
    REQUIRE(package);
    CHECK(findings(*package).empty());
    CHECK(package->valid());
    CHECK(package->manifest.name == "demo");
    CHECK(package->manifest.permissions.read == std::vector<std::string>{"/srv/a"});
    CHECK(package->workflows.contains("main"));
    CHECK(package->assets.contains("assets/b.txt"));
    CHECK_FALSE(package->assets.contains(".git/config"));
}

TEST_CASE("pack writes the same bytes for the same folder, and the archive loads as the same package", "[workflows][package]")
{
    Folder one, two;
    good(one);
    good(two);
    fs::last_write_time(fs::path(two.path()) / "workflow.yaml", fs::file_time_type::clock::now() - std::chrono::hours(1000));
    fs::permissions(fs::path(two.path()) / "workflow.yaml", fs::perms::owner_all);
    const auto a = workflows::pack(one.path()), b = workflows::pack(two.path());
    REQUIRE(a);
    REQUIRE(b);
    CHECK(*a == *b);
    CHECK(workflows::package_digest(*a).starts_with("sha256:"));
    CHECK(workflows::package_digest(*a).size() == 7 + 64);
    const auto manifest = workflows::manifest_of(*a);
    REQUIRE(manifest);
    CHECK(manifest->title == "Demo");
    CHECK(to_json(*manifest)["permissions"]["files"]["write"] == json(R"([{"variable":"out"}])"));
    const auto package = workflows::load_archive(*a);
    REQUIRE(package);
    CHECK(findings(*package).empty());
    CHECK(package->assets.at("assets/b.txt") == "bytes");
    CHECK(drive(std::make_shared<workflows::Package>(*package), json(R"({"a":1,"n":1})")).words() == R"({"n":2})");
}

TEST_CASE("pack may give another version; a lone workflow packs as a package that asks for nothing", "[workflows][package]")
{
    Folder folder;
    good(folder);
    const auto other = workflows::pack(folder.path(), "1.2.0-dev.abc");
    REQUIRE(other);
    CHECK(workflows::manifest_of(*other)->version == "1.2.0-dev.abc");
    CHECK(workflows::load_archive(*other)->valid());
    CHECK_FALSE(workflows::pack(folder.path(), "one"));
    folder.file("lone.yaml", kFlow);
    const auto lone_bytes = workflows::pack(folder.path() + "/lone.yaml");
    REQUIRE(lone_bytes);
    const auto package = workflows::load_archive(*lone_bytes);
    REQUIRE(package);
    CHECK(package->manifest.name == "demo");
    CHECK(to_json(package->manifest)["permissions"].empty());
    CHECK(package->workflows.contains("main"));
}

TEST_CASE("mistakes of package.yaml have their places, and nothing with mistakes is packed", "[workflows][package]")
{
    Folder folder;
    folder.file("workflow.yaml", kFlow).file("package.yaml", "name: demo\nversion: 1.0.0\npermisions: {}\nrepeatable: yes please\npermissions: { network: [ 'no host' ], files: { read: [ relative ] } }\n");
    const auto package = workflows::load_package(folder.path());
    REQUIRE(package);
    const std::string words = findings(*package);
    CHECK_THAT(words, Catch::Contains("package.yaml:3:1: package.yaml has no 'permisions'; did you mean 'permissions'?"));
    CHECK_THAT(words, Catch::Contains("package.yaml:4:1: 'repeatable' is true or false"));
    CHECK_THAT(words, Catch::Contains("package.yaml:5:1:"));
    CHECK_THAT(words, Catch::Contains("document.version is '1.2.0', but package.yaml says '1.0.0'"));
    const auto packed = workflows::pack(folder.path());
    REQUIRE_FALSE(packed);
    CHECK(packed.error().code == Errc::invalid);
    CHECK_THAT(packed.error().what, Catch::Contains("package.yaml:3:1"));
    CHECK(workflows::load_package(folder.path() + "/nowhere").error().code == Errc::not_found);
}

TEST_CASE("a folder with a link in it is no package", "[workflows][package]")
{
    Folder folder;
    good(folder);
    fs::create_symlink("/etc/hostname", fs::path(folder.path()) / "link.txt");
    CHECK_THAT(workflows::load_package(folder.path()).error().what, Catch::Contains("is a link"));
}

TEST_CASE("archives that lie are refused", "[workflows][package]")
{
    using workflows::read_archive;
    using workflows::write_archive;
    CHECK(read_archive("no zip").error().code == Errc::corrupt);
    CHECK(read_archive("").error().code == Errc::corrupt);
    const std::string manifest = R"({"name":"demo","version":"1.2.0"})";
    for (const char* path : {"../out", "/etc/passwd", "a/../../b", "a\\b", ".hidden", "a//b", "c:d", "a\nb"}) {
        CHECK_FALSE(workflows::is_package_path(path));
        const auto bytes = write_archive(manifest, {{path, "x"}});
        if (!bytes) continue;
        const auto read = read_archive(*bytes);  // the library may have made a harmless path of it
        if (read) for (const auto& [name, content] : *read) CHECK(workflows::is_package_path(name));
    }
    std::string cut = write_archive(manifest, {{"workflow.yaml", kFlow}}).value_or("");
    REQUIRE(cut.size() > 100);
    CHECK(read_archive(cut).has_value());
    CHECK_FALSE(read_archive(cut.substr(0, cut.size() / 2)));
    const auto two = workflows::load_archive(*write_archive(manifest, {{"workflow.yaml", kFlow}, {"b.txt", "x"}}));
    REQUIRE_FALSE(two);  // a manifest, but no package.yaml
    CHECK(two.error().code == Errc::corrupt);
    CHECK_FALSE(workflows::manifest_of(write_archive("{", {}).value_or("")));
    const auto swapped = workflows::load_archive(*write_archive(R"({"name":"demo","version":"1.2.0","workflows":{"main":"workflow.yaml"},"permissions":{},"repeatable":false})",
                                                                {{"workflow.yaml", kFlow}, {"package.yaml", kPackage}}));
    REQUIRE(swapped);
    CHECK_THAT(findings(*swapped), Catch::Contains("manifest.json does not say what package.yaml says"));
}

TEST_CASE("variables: defaults, types, what is missing, and permissions that name them", "[workflows][package]")
{
    std::string trouble;
    const auto manifest = workflows::parse_manifest(json(R"({"name":"a","version":"1.0.0","permissions":{"files":{"write":[{"variable":"out"},"/fixed"]},"network":[{"variable":"urls"}]},
        "variables":{"out":{"type":"string","required":true},"urls":{"type":"array","default":["https://a.test","https://b.test"]},"n":{"type":"integer","default":3}}})"));
    REQUIRE(manifest);
    CHECK(manifest->permissions.write == std::vector<std::string>{"/fixed"});
    const auto variables = workflows::effective_variables(*manifest, json(R"({"out":"/srv/x"})"));
    REQUIRE(variables);
    CHECK((*variables)["n"] == Json(3));
    const auto asked = workflows::asked_permissions(*manifest, *variables);
    REQUIRE(asked);
    CHECK(asked->write == std::vector<std::string>{"/srv/x", "/fixed"});
    CHECK(asked->network.size() == 2);
    CHECK_THAT(workflows::effective_variables(*manifest, json(R"({"n":"3","oot":1})")).error().what,
               Catch::Contains("'n' must be of the type integer") && Catch::Contains("did you mean 'out'") && Catch::Contains("'out' is needed"));
    CHECK_FALSE(workflows::parse_manifest(json(R"({"name":"a","version":"1.0.0","permissions":{"network":[{"variable":"none"}]}})")));
    CHECK(workflows::parse_manifest(to_json(*manifest)).has_value());
    CHECK(to_json(*workflows::parse_manifest(to_json(*manifest))) == to_json(*manifest));
}

TEST_CASE("an input is checked against the workflow's schema before anything runs", "[workflows][package]")
{
    Folder folder;
    good(folder);
    const auto package = workflows::load_package(folder.path());
    CHECK(workflows::check_input(*package, "main", json(R"({"a":1})")).has_value());
    CHECK(workflows::check_input(*package, "main", json("{}")).error().code == Errc::invalid);
    CHECK(workflows::check_input(*package, "other", json("{}")).error().code == Errc::not_found);
}

TEST_CASE("a package that starts programs asks for them", "[workflows][package]")
{
    Folder folder;
    folder.file("package.yaml", "name: demo\nversion: 1.2.0\n")
        .file("workflow.yaml", "document: { dsl: 1.0.3, namespace: test, name: demo, version: 1.2.0 }\ndo: [ { x: { run: { shell: { command: ls } } } } ]\n");
    CHECK_THAT(findings(*workflows::load_package(folder.path())), Catch::Contains("workflow.yaml:2:") && Catch::Contains("asks for no command"));
}

TEST_CASE("the packages that we ship load without a finding", "[workflows][package]")
{
    const char* source = std::getenv("MILL_SOURCE");
    if (source == nullptr) {
        WARN("SKIP: MILL_SOURCE is not set");
        return;
    }
    for (const char* name : {"systems-monitoring", "service-desk", "backup"}) {
        const std::string path = std::string(source) + "/workflows/packages/" + name;
        const auto package = workflows::load_package(path);
        REQUIRE(package);
        CHECK(findings(*package) == "");
    }
}

TEST_CASE("a name is a DNS label and a version is a semantic one", "[workflows][package]")
{
    using workflows::is_dns_label;
    using workflows::is_semantic_version;
    for (const char* good : {"a", "7", "a-b", "order-status2", "a--b"}) CHECK(is_dns_label(good));
    CHECK(is_dns_label(std::string(63, 'x')));
    for (const char* bad : {"", "-", "-a", "a-", "A", "a_b", "a.b", "a b", "\xc3\xa9"}) CHECK_FALSE(is_dns_label(bad));
    CHECK_FALSE(is_dns_label(std::string(64, 'x')));
    CHECK_FALSE(is_dns_label(std::string_view("a\0b", 3)));

    for (const char* good : {"0.0.0", "1.0.0", "10.20.30", "999999999.0.1", "1.0.0-a", "1.0.0-rc.1", "1.0.0+b.7", "1.0.0-rc.1+b-7", "1.0.0--"})
        CHECK(is_semantic_version(good));
    CHECK(is_semantic_version("1.0.0-" + std::string(80, 'a')));
    for (const char* bad : {"", "1", "1.0", "1.0.", "1.0.0.", "1.0.0.0", "01.0.0", "1.00.0", "1.0.x", "v1.0.0", "1.0.0-", "1.0.0+", "1.0.0-a+",
                            "1.0.0-a_b", "1.0.0+a+b", " 1.0.0", "1.0.0 ", "1.0.0\n", "1234567890.0.0", "-1.0.0", "1..0"})
        CHECK_FALSE(is_semantic_version(bad));
    CHECK_FALSE(is_semantic_version("1.0.0-" + std::string(81, 'a')));
    CHECK_FALSE(is_semantic_version("1.0.0+" + std::string(81, 'a')));
}

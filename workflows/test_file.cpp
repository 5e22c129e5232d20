#include "workflows/test_file.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "platform/base/text.h"
#include "workflows/expression.h"
#include "workflows/stand_ins.h"

namespace mill::workflows {
namespace {

constexpr std::size_t kMostCases = 1000;
using Keys = std::vector<std::string>;
const Keys kShared = {"workflow", "input", "variables", "secrets", "standIns", "real", "now"};

class TestReader {
public:
    TestReader(TestFile& out, const YamlDocument& yaml) : out_(out), yaml_(yaml) {}

    void file()
    {
        const Json& root = yaml_.value;
        const Json* list = root.find("cases");
        Keys keys = kShared;
        if (list != nullptr) keys.emplace_back("cases");
        else keys.insert(keys.end(), {"name", "expect", "cases"});
        if (!only(root, "", keys)) return;
        if (list == nullptr) {
            out_.cases.push_back(one(root, "", Json()));
            return;
        }
        if (!list->is_array() || list->empty()) return complain("/cases", "'cases' is a list of cases");
        if (list->size() > kMostCases) return complain("/cases", fmt::format("more than {} cases in one file", kMostCases));
        Json shared = root;
        shared.erase("cases");
        Keys own = kShared;
        own.insert(own.end(), {"name", "expect"});
        std::set<std::string> names;
        for (std::size_t i = 0; i < list->size(); ++i) {
            const std::string place = fmt::format("/cases/{}", i);
            if (!only((*list)[i], place, own)) continue;
            out_.cases.push_back(one((*list)[i], place, shared));
            if (!names.insert(out_.cases.back().name).second) complain(place + "/name", fmt::format("two cases are called '{}'", out_.cases.back().name));
        }
    }

private:
    void complain(const std::string& pointer, std::string text)
    {
        if (out_.findings.size() < 100) out_.findings.push_back({Finding::Level::error, out_.file, yaml_.mark(pointer), std::move(text), "test-file"});
    }

    bool only(const Json& json, const std::string& pointer, const Keys& keys)
    {
        if (!json.is_object()) {
            complain(pointer, fmt::format("an object is expected, not {}", json.kind_name()));
            return false;
        }
        for (const auto& [key, value] : json.as_object())
            if (std::find(keys.begin(), keys.end(), key) == keys.end())
                complain(pointer + "/" + escape_pointer(key), fmt::format("'{}' is not known here{}", key, did_you_mean(key, keys)));
        return true;
    }

    /// The case's own member, else the file's; `pointer` becomes its place.
    static const Json* find(const Json& json, const Json& shared, const char* key, std::string& pointer)
    {
        if (const Json* own = json.find(key)) {
            pointer += fmt::format("/{}", key);
            return own;
        }
        pointer = fmt::format("/{}", key);
        return shared.find(key);
    }

    TestCase one(const Json& json, const std::string& pointer, const Json& shared)
    {
        TestCase out;
        out.mark = yaml_.mark(pointer.empty() ? "/name" : pointer);
        out.name = text(json, pointer, "name", "");
        if (out.name.empty()) {
            const auto slash = out_.file.rfind('/');
            const std::string stem = out_.file.substr(slash == std::string::npos ? 0 : slash + 1);
            out.name = pointer.empty() ? stem.substr(0, stem.rfind('.')) : fmt::format("case {}", pointer.substr(7));
        }
        std::string place = pointer;
        if (const Json* workflow = find(json, shared, "workflow", place)) {
            if (workflow->is_string()) out.workflow = workflow->as_string();
            else complain(place, "'workflow' is the name of a workflow of the package");
        }
        place = pointer;
        if (const Json* input = find(json, shared, "input", place)) out.input = *input;
        for (const auto& [key, into] : {std::pair{"variables", &out.variables}, {"secrets", &out.secrets}}) {
            place = pointer;
            const Json* value = find(json, shared, key, place);
            if (value == nullptr) continue;
            if (value->is_object()) *into = *value;
            else complain(place, fmt::format("'{}' is an object of names and values", key));
        }
        rehearsal(out, json, pointer, shared);
        if (const Json* expect = json.find("expect")) expectation(out, *expect, pointer + "/expect");
        return out;
    }

    std::string text(const Json& json, const std::string& pointer, const char* key, const char* otherwise)
    {
        const Json* value = json.find(key);
        if (value == nullptr) return otherwise;
        if (value->is_string() && !value->as_string().empty() && value->as_string().size() <= 500) return value->as_string();
        complain(pointer + "/" + key, fmt::format("'{}' is a text of at most 500 bytes", key));
        return otherwise;
    }

    /// The case's stand-ins come first, then the file's.
    void rehearsal(TestCase& out, const Json& json, const std::string& pointer, const Json& shared)
    {
        const Complaint told = [this](const std::string& place, std::string what) { complain(place, std::move(what)); };
        Json all = Json::array();
        for (const auto& [from, place] : {std::pair<const Json*, std::string>{&json, pointer}, {&shared, ""}}) {
            const Json* list = from->find("standIns");
            if (list == nullptr) continue;
            if (from == &json || out_.cases.empty()) (void)read_stand_ins(*list, place + "/standIns", told);
            for (const Json& each : list->as_array()) all.push(each);
        }
        out.rehearsal.set("standIns", std::move(all));
        std::string place = pointer;
        if (const Json* real = find(json, shared, "real", place)) {
            const bool fine = real->is_array() && std::all_of(real->as_array().begin(), real->as_array().end(), [](const Json& name) { return name.is_string(); });
            if (!fine) complain(place, "'real' is a list of calls or tasks that may really happen, such as [ file.read ]");
            out.rehearsal.set("real", *real);
        }
        place = pointer;
        if (const Json* now = find(json, shared, "now", place)) {
            if (!now->is_string() || !parse_time(now->as_string())) complain(place, "'now' is a time such as 2026-03-01T08:00:00Z");
            out.rehearsal.set("now", *now);
        }
    }

    void expectation(TestCase& out, const Json& expect, const std::string& pointer)
    {
        if (!only(expect, pointer, {"output", "outputContains", "check", "error", "calls"})) return;
        if (const Json* output = expect.find("output")) out.expect.output = *output;
        if (const Json* part = expect.find("outputContains")) out.expect.output_contains = *part;
        if (const Json* error = expect.find("error")) {
            if (only(*error, pointer + "/error", {"type", "status", "title", "detail", "instance"})) out.expect.error = *error;
            for (const char* key : {"output", "outputContains"})
                if (expect.contains(key)) complain(pointer + "/" + key, fmt::format("'{}' and 'error' cannot both be expected", key));
        }
        checks(out, expect, pointer);
        if (const Json* calls = expect.find("calls")) expected_calls(out, *calls, pointer + "/calls");
    }

    void checks(TestCase& out, const Json& expect, const std::string& pointer)
    {
        const Json* check = expect.find("check");
        if (check == nullptr) return;
        const std::string place = pointer + "/check";
        const Json list = check->is_array() ? *check : Json::array({*check});
        for (std::size_t i = 0; i < list.size(); ++i) {
            const std::string each = check->is_array() ? fmt::format("{}/{}", place, i) : place;
            if (!list[i].is_string()) {
                complain(each, "'check' is a jq expression, or a list of them");
                continue;
            }
            Expression expression;
            expression.text = list[i].as_string();
            if (expression.text.starts_with("${") && expression.text.ends_with('}')) expression.text = expression.text.substr(2, expression.text.size() - 3);
            if (Status ready = prepare(expression, {"error", "calls", "input"}); !ready) complain(each, ready.error().what);
            out.expect.checks.push_back(expression.text);
        }
        Json texts = Json::array();
        for (const std::string& one : out.expect.checks) texts.push(one);
        out.rehearsal.set("checks", std::move(texts));
    }

    void expected_calls(TestCase& out, const Json& calls, const std::string& pointer)
    {
        if (!calls.is_array()) return complain(pointer, "'calls' is a list, each with a call or a task and perhaps with");
        out.expect.calls.emplace();
        for (std::size_t i = 0; i < calls.size(); ++i) {
            const std::string place = fmt::format("{}/{}", pointer, i);
            const Json& one = calls[i];
            if (!only(one, place, {"call", "task", "with"})) continue;
            ExpectedCall expected{text(one, place, "call", ""), text(one, place, "task", ""), std::nullopt};
            if (expected.call.empty() && expected.task.empty()) complain(place, "an expected call names a call or a task");
            if (const Json* with = one.find("with")) expected.with = *with;
            out.expect.calls->push_back(std::move(expected));
        }
    }

    TestFile& out_;
    const YamlDocument& yaml_;
};

}  // namespace

TestFile read_test_file(std::string_view text, const std::string& file)
{
    TestFile out;
    out.file = file;
    const Result<YamlDocument> yaml = parse_yaml(text);
    if (!yaml) {
        Finding finding{Finding::Level::error, file, {}, yaml.error().what, "yaml"};
        if (std::sscanf(yaml.error().what.c_str(), "%d:%d:", &finding.mark.line, &finding.mark.column) == 2)
            finding.text = yaml.error().what.substr(yaml.error().what.find(": ") + 2);
        out.findings.push_back(std::move(finding));
        return out;
    }
    TestReader(out, *yaml).file();
    return out;
}

}  // namespace mill::workflows

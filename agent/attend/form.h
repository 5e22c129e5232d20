// agent/attend/form.h -- asks a person for a value that fits a JSON Schema, line by line.
#pragma once

#include <functional>
#include <string>

#include "agent/companion/catalogue.h"
#include "platform/base/json.h"

namespace mill::agent {

/// Where the lines come from and go to; a terminal, or a test.
struct Dialogue {
    std::function<void(const std::string& text)> print;
    /// One line; `hidden`: nothing is shown of what is typed. Errors: cancelled (the input has ended).
    std::function<Result<std::string>(const std::string& prompt, bool hidden)> read;
    companion::Language language = companion::Language::english;
};

/// The value. `before`: what was given before, kept by an empty line; null: nothing. What the schema says beyond types, choices and limits the factory checks.
/// A schema of a form that has no questions here is asked for as JSON. Errors: cancelled.
Result<Json> fill_form(const Json& schema, const Json& before, const Dialogue& dialogue);

/// One of `count` by its number, 0: none (an empty line). Errors: cancelled.
Result<std::size_t> choose(std::size_t count, const std::string& prompt, const Dialogue& dialogue);

}  // namespace mill::agent

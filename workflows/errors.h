// workflows/errors.h -- the DSL's standard errors and the spellings of their types.
#pragma once

#include <string>
#include <string_view>

#include "workflows/interpreter.h"

namespace mill::workflows {

enum class ErrorType { configuration, validation, expression, authentication, authorization, timeout, communication, runtime };

Fault make_fault(ErrorType type, std::string detail, std::string instance = {});
int status_of(ErrorType type);
std::string uri_of(ErrorType type);  ///< https://serverlessworkflow.io/spec/1.0.0/errors/NAME

/// The 1.0.3 form of a standard type however it is spelled (the reference's, the test kit's, both under the project's new
/// host, or the bare word); any other type unchanged.
std::string normal_type(std::string_view type);

}  // namespace mill::workflows

// The routes by which images come into a store, and go out of it: the same at clouds and at sky.
#pragma once

#include "api/router.h"
#include "image/intake.h"
#include "image/outlet.h"

#include <functional>

namespace godwit::api {

// Who calls, where they may bring images.
using AdmitCall = std::function<Result<image::IntakeCaller>(const Call&)>;

// `intake` outlives the routes; null: nothing is taken in here, which every call is told.
void add_image_content_routes(Router& router, image::Intake* intake, const AdmitCall& admit);

// Likewise of who takes one away, which the caller may use.
void add_image_outlet_routes(Router& router, image::Outlet* outlet, const AdmitCall& admit);

}  // namespace godwit::api

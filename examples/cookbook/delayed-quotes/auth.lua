-- A stand-in: ?plan=pro. Take cookbook/jwt-auth, where the token names the plan.
return function(request)
  return { claims = { plan = request.query.plan == "pro" and "pro" or "free" } }
end

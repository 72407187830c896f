import Hummingbird
import WriteBehind

/// Answers an error of the store with the status that a client can act on.
struct StoreErrors<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context,
        next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as StoreError {
            context.logger.error("the store refused a call", metadata: ["cause": "\(error)"])
            let status = error.httpStatus
            throw HTTPError(
                status, headers: status == .serviceUnavailable ? [.retryAfter: "1"] : [:])
        }
    }
}

extension StoreError {
    var httpStatus: HTTPResponse.Status {
        switch self {
        // The row does not fit: the same call fails again.
        case .row, .commitTooLarge, .quarantined: .unprocessableContent
        case .duplicateKey: .conflict
        case .noSuchRow: .notFound
        // The write is in the log. It was not confirmed in time.
        case .timedOut: .accepted
        // The same call may succeed soon.
        case .backlogFull, .diskFull, .noResources, .contended, .database, .closed, .cancelled:
            .serviceUnavailable
        default: .internalServerError
        }
    }
}

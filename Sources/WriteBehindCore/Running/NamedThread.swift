import CLinux
import Glibc

/// The machine gives no thread: a limit of the process, of the user or of the machine is reached.
package struct NoThread: Error, Sendable, Equatable, CustomStringConvertible {
    package var name: String
    package var code: Int32

    package init(name: String, code: Int32) {
        (self.name, self.code) = (name, code)
    }

    package var description: String {
        "no thread can be started for \(name) (error \(code)); see the limits of processes and threads "
            + "(ulimit -u, systemd's TasksMax, the container's pids limit) and of memory"
    }
}

/// How threads are started. Tests replace it.
package typealias StartThread =
    @Sendable (_ name: String, _ body: @escaping @Sendable () -> Void) throws(NoThread) -> Void

/// Threads with names, which `top -H` shows. Foundation's threads do not report that they could not be started.
package enum NamedThread {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            (self.name, self.body) = (name, body)
        }

        /// Runs the body under the name. The kernel cuts the name off after 15 bytes.
        func run() {
            unsafe name_this_thread(name)
            body()
        }
    }

    @Sendable package static func start(
        named name: String, _ body: @escaping @Sendable () -> Void
    ) throws(NoThread) {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let start = unsafe Unmanaged.passRetained(Start(name, body))
        var thread = pthread_t()
        let code = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                // The argument is the object that was passed below.
                if let argument = unsafe argument {
                    unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().run()
                }
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            unsafe start.release()
            throw NoThread(name: name, code: code)
        }
    }
}

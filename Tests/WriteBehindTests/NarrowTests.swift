import Foundation
import TestSupport
import Testing

/// Lives of a store where the machine is short of something, each in a process of its own: all goes well, or it is
/// refused by an error of the store's own; no signal, no hang, and nothing acknowledged is missing afterwards.
@Suite struct NarrowTests {
    private static let (well, refused): (Int32, Int32) = (0, 3)

    /// The exit code in a shell, and the output.
    private func run(_ script: String, privately: Bool = false) throws -> (Int32, String) {
        let program = try CrashtestTests.product("crashtest").path
        let shell = ["sh", "-c", "c=\(program); \(script)"]
        return try LoopDevices.run(
            privately ? LoopDevices.unshare : URL(filePath: "/usr/bin/env"),
            (privately ? ["--mount"] : ["-u", "TMPDIR"]) + shell)
    }

    private func check(
        _ limits: String, _ directory: TemporaryStore, _ comment: Comment
    ) throws {
        let (status, output) = try run("\(limits); exec $c narrow \(directory.path)")
        #expect([Self.well, Self.refused].contains(status), "\(comment): \(status), \(output)")
        let acknowledged = output.split(separator: "\n").compactMap { line in
            line.hasPrefix("acknowledged ") ? Int(line.dropFirst(13)) : nil
        }.last
        let again = try run("exec $c narrow \(directory.path) --from \(acknowledged ?? 0)")
        #expect(again.0 == Self.well, "\(comment), then well: \(again)")
    }

    /// From 7 on: three are the streams, three libdispatch takes for its timers, and with the seventh it counts which of
    /// its threads run. If it cannot open that file it ends the process, as in any program with tasks.
    @Test(arguments: [7, 8, 10, 12, 13, 14, 16, 20])
    func whereDescriptorsAreShortNothingEndsTheProcess(count: Int) throws {
        try check("ulimit -n \(count)", TemporaryStore(), "\(count) descriptors")
    }

    /// In units of 512 bytes.
    @Test(arguments: [0, 1, 8, 100, 65_000, 70_000])
    func whereFilesMayNotGrowNothingEndsTheProcess(blocks: Int) throws {
        try check("ulimit -f \(blocks)", TemporaryStore(), "files of \(blocks) blocks")
    }

    @Test(.enabled(if: LoopDevices.areUsable, "for root"))
    func noTemporaryDirectoryIsNeeded() throws {
        let directory = TemporaryStore()
        let (status, output) = try run(
            """
            mkdir \(directory.path) && mount -t tmpfs none \(directory.path) &&
            cut -d' ' -f5 /proc/self/mountinfo | while read -r place; do
                case $place in /proc*|/sys*|/dev*|\(directory.path)) ;; *) mount -o remount,bind,ro "$place" ;; esac
            done
            cd / && touch /tmp/x 2>&1 && exit 99
            exec env -u TMPDIR $c narrow \(directory.path)/store
            """, privately: true)
        #expect(status == Self.well, "\(status), \(output)")
    }

    /// Room for nothing, for a part and for all of what opening needs, for the copy of a store that was killed. On XFS and
    /// btrfs the copy shares its blocks with the original, so that any write takes new room.
    @Test(
        .enabled(if: LoopDevices.areUsable, "for root, with loop devices and mkfs"),
        arguments: ["ext4", "xfs", "btrfs", "overlay xfs", "overlay btrfs"])
    func whereTheDiskIsFullAStoreOpensOrSaysSo(kind: String) throws {
        if kind.hasSuffix("btrfs"), !LoopDevices.haveBtrfs { return }
        let directory = TemporaryStore()
        let (status, output) = try run(
            """
            set -e
            d=\(directory.path); k='\(kind)'; mkdir -p $d/disk; cd $d; truncate -s 512M image
            f=${k#overlay }
            [ $f = ext4 ] && q='-q -F' || q=-q
            mkfs.$f $q image && mount -o loop image disk; m=$d/disk
            if [ "$k" != $f ]; then
                mkdir -p disk/lower disk/upper disk/work merged
                mount -t overlay -o lowerdir=disk/lower,upperdir=disk/upper,workdir=disk/work none merged
                m=$d/merged
            fi
            $c narrow $m/store --rows 500 --unclean >/dev/null
            for room in 0 64 4096 40960 65536; do
                rm -rf $m/copy; cp -a $m/store $m/copy; sync
                fill=$(($(df --output=avail -k $d/disk | tail -1) - room))
                # The last blocks are not always to be had at once.
                until fallocate -l ${fill}K $d/disk/fill 2>/dev/null; do fill=$((fill - 256)); done
                r=0; $c narrow $m/copy --from 500 --rows 500 >$d/said || r=$?
                n=$(sed -n 's/^acknowledged //p' $d/said | tail -1)
                echo "room $room: $r $(tail -1 $d/said)"
                rm -f $d/disk/fill; sync
                r=0; $c narrow $m/copy --from ${n:-500} --rows 500 >$d/said || r=$?
                echo "again $room: $r $(tail -1 $d/said)"
            done
            """, privately: true)
        #expect(status == 0, "\(output)")
        let lines = output.split(separator: "\n").filter {
            $0.hasPrefix("room ") || $0.hasPrefix("again ")
        }
        #expect(lines.count == 10, "\(output)")
        for line in lines {
            let isNarrow = line.hasPrefix("room")
            let isRight = line.contains(": 0 ") || isNarrow && line.contains(": 3 ")
            // The kernel refuses a page of SQLite's shared memory, which is like a kill.
            let isKilled =
                isNarrow && kind.hasSuffix("btrfs") && line.contains(": \(128 + SIGBUS) ")
            #expect(isRight || isKilled, "\(line)")
        }
    }

    /// `cp` makes a copy that shares all blocks with the files of the running store, and the disk becomes full. A store to a
    /// page of the mapped buffer would need room from then on, and none is left.
    @Test(
        .enabled(if: LoopDevices.areUsable, "for root, with loop devices and mkfs"),
        arguments: ["xfs", "overlay xfs"])
    func aCopyOfARunningStoreOnAFullDiskEndsNoWriter(kind: String) throws {
        let directory = TemporaryStore()
        let (status, output) = try run(
            """
            set -e
            d=\(directory.path); k='\(kind)'; mkdir -p $d/disk; cd $d; truncate -s 512M image
            mkfs.xfs -q image && mount -o loop image disk; m=$d/disk
            if [ "$k" != xfs ]; then
                mkdir -p disk/lower disk/upper disk/work merged
                mount -t overlay -o lowerdir=disk/lower,upperdir=disk/upper,workdir=disk/work none merged
                m=$d/merged
            fi
            cat >$d/meanwhile <<END
            cp -a $m/store $m/copy; rm $m/copy/database.sqlite-shm; sync
            fill=\\$((\\$(df --output=avail -k $d/disk | tail -1) - \\$1))
            until fallocate -l \\${fill}K $d/disk/fill 2>/dev/null; do fill=\\$((fill - 256)); done
            END
            for room in 0 64 4096 40960; do
                r=0; $c narrow $m/store --rows 400 --meanwhile "sh $d/meanwhile $room" >$d/said || r=$?
                n=$(sed -n 's/^acknowledged //p' $d/said | tail -1)
                echo "room $room: $r $(tail -1 $d/said)"
                rm -rf $d/disk/fill $m/copy; sync
                r=0; $c narrow $m/store --from ${n:-0} --rows 500 >$d/said || r=$?
                echo "again $room: $r $(tail -1 $d/said)"
                rm -rf $m/store
            done
            """, privately: true)
        #expect(status == 0, "\(output)")
        let lines = output.split(separator: "\n").filter {
            $0.hasPrefix("room ") || $0.hasPrefix("again ")
        }
        #expect(lines.count == 8, "\(output)")
        for line in lines {
            let isRight =
                line.contains(": 0 ") || line.hasPrefix("room") && line.contains(": 3 ")
            #expect(isRight, "\(line)")
        }
    }
}

import Foundation
import TestSupport
import Testing

/// A writer is known by the lock of its own file, on each kind of file system.
@Suite struct MountedStoreTests {
    /// The kernel's list of locks has numbers of files, and each tmpfs counts anew: both stores' LOCK have the same.
    @Test(.enabled(if: PrivateMounts.areUsable, "mounting needs root"))
    func aWriterOnAnotherFileSystemIsNotTakenForThisStoresWriter() async throws {
        let fixture = try await Fixture.killed()
        let (status, output) = try PrivateMounts.run(
            """
            mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir one two || exit 99
            for place in one two; do mount -t tmpfs tmpfs $place && cp -a "$2" $place/store; done
            [ $(stat -c %i one/store/LOCK) = $(stat -c %i two/store/LOCK) ] || exit 98
            flock one/store/LOCK "$1" recover --apply one/store; echo "one: $?"
            flock one/store/LOCK "$1" recover --apply two/store; echo "two: $?"
            """, Tool.executable.path, fixture.path)
        #expect(status == 0)
        #expect(output.contains("one: 7"), "\(output)")
        #expect(output.contains("two: 0"), "\(output)")
    }

    /// What `stat` shows as a file's device is not what the list has on btrfs and on overlayfs.
    @Test(
        .enabled(if: PrivateMounts.areUsable, "mounting needs root"),
        arguments: ["tmpfs", "btrfs", "overlay"])
    func aWriterIsSeenWhateverFileSystemItIsOn(kind: String) async throws {
        if kind == "btrfs", !PrivateMounts.canMake(kind) { return }
        let fixture = try await Fixture.killed()
        let (status, output) = try PrivateMounts.run(
            """
            mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir disk && m=disk || exit 99
            case $3 in
            btrfs) truncate -s 256M image && mkfs.btrfs -q image && mount -o loop image disk &&
                btrfs subvolume create disk/part && m=disk/part ;;
            overlay) mkdir lower upper work &&
                mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none disk ;;
            *) mount -t tmpfs tmpfs disk ;;
            esac >/dev/null 2>&1 || exit 98
            cp -a "$2" $m/store
            flock $m/store/LOCK "$1" recover --apply $m/store; echo "locked: $?"
            "$1" recover --apply $m/store; echo "free: $?"
            """, Tool.executable.path, fixture.path, kind)
        #expect(status == 0)
        #expect(output.contains("locked: 7"), "\(output)")
        #expect(output.contains("free: 0"), "\(output)")
    }
}

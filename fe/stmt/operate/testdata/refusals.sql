# every refusal of the verbs, by its code
confset auto_failover false
showtable nowhere
delreplica orders 0 10.0.1.1:9050
changeleader notes 0
cancelop 77
deleteop 77
ADMIN OFFLINE ENDPOINT '10.0.1.9:9050'
recoverendpoint 10.0.1.9:9050
recoverendpoint 10.0.1.4:9050
addreplica orders 0 10.0.1.4:9050
addreplica orders 0 10.0.1.9:9050
offlineendpoint 10.0.1.1:9050 0
offlineendpoint 10.0.1.1:9050 9
confget other
addreplica orders 7 10.0.1.2:9050
addreplica orders 3-1 10.0.1.2:9050
changeleader orders 9 auto
delreplica orders 9 10.0.1.2:9050
delreplica orders 3 10.0.1.2:9050
recovertable orders 3 10.0.1.2:9050
changeleader orders 0
changeleader orders 0 10.0.1.3:9050
changeleader orders 0 10.0.1.9:9050
addreplica orders 3 10.0.1.2:9050
recovertable orders 0 10.0.1.1:9050
recovertable orders 9 10.0.1.1:9050
addreplica orders 0 10.0.1.2:9050
migrate 10.0.1.9:1 orders 0 10.0.1.3:9050
migrate 10.0.1.4:9050 orders 1 10.0.1.1:9050
migrate 10.0.1.1:9050 orders 1 10.0.1.9:1
migrate 10.0.1.1:9050 orders 1 10.0.1.4:9050
migrate 10.0.1.1:9050 orders 0 10.0.1.3:9050
migrate 10.0.1.1:9050 orders 1 10.0.1.2:9050
migrate 10.0.1.1:9050 orders 3 10.0.1.3:9050
migrate 10.0.1.3:9050 orders 2 10.0.1.2:9050
migrate 10.0.1.2:9050 orders 2 10.0.1.1:9050
migrate 10.0.1.2:9050 orders 0 10.0.1.1:9050
updatetablealive notes * 10.0.1.2:9050 no
# what is ordered twice
recovertable orders 0 10.0.1.3:9050
recovertable orders 0 10.0.1.3:9050
recoverendpoint 10.0.1.3:9050
changeleader orders 0 auto
changeleader orders 0 auto
offlineendpoint 10.0.1.1:9050
offlineendpoint 10.0.1.1:9050
RECOVER DATA DRY RUN
# what has ended
cancelop 10031
cancelop 10031
deleteop 10032
SHOW TRANSACTION 10032
SHOW TRANSACTION 77
getfollower 10007 0
getfollower 10007 9
getfollower 77 0
SHOW shop.ALIVE
SHOW nowhere.ALIVE
SHOW COMPONENTS
SHOW shop.VGROUPS
confset auto_failover true
migrate 10.0.1.1:9050 orders 1 10.0.1.2:9050
